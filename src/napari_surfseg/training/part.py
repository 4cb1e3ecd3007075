"""The part of a run that a process has which follows another: volumes, patches, gradients."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Self

import torch

from napari_surfseg.config import Experiment
from napari_surfseg.data.patches.loader import PatchLoader
from napari_surfseg.data.strokes.stroke_counts import count_strokes
from napari_surfseg.geometry import in_finest_voxels, to_index
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.networks import resolve_network
from napari_surfseg.out_of_memory import free_memory
from napari_surfseg.training.gradients import GradientComputer
from napari_surfseg.training.label_refresh import LabelRefresh
from napari_surfseg.training.lead import compute_part
from napari_surfseg.training.rank_place import share_batch
from napari_surfseg.training.ranks import RankLostError, WeightExchange
from napari_surfseg.training.run_data import open_same_data
from napari_surfseg.training.stroke_start import open_stroke_start

if TYPE_CHECKING:
    from napari_surfseg.training.ranks import Ranks

__all__ = ["Part"]


class Part:
    """What a process needs to compute gradients as the one that leads does.

    Parameters
    ----------
    ranks : Ranks
        This process among the others.
    order : dict
        How the run is prepared, by the process that leads.

    Raises
    ------
    SurfsegError
        If the volumes cannot be used here.
    """

    def __init__(self, ranks: Ranks, order: dict[str, Any]) -> None:
        self._ranks = ranks
        self._experiment = experiment = Experiment.model_validate(order["experiment"])
        intensity = Intensity.from_dict(order["intensity"])
        self._data = data = open_same_data(experiment, order["cut"], order["resampling"], intensity)
        architecture = resolve_network(
            experiment.model, to_index(order["planned_patch_size"]), device=ranks.device.type
        )
        self._gradients = GradientComputer(
            experiment,
            architecture,
            intensity,
            in_finest_voxels(data.spacing),
            device=ranks.device,
            precision=order["precision"],
        )
        self._exchange = WeightExchange(ranks, self._gradients.network)
        stroke_start = open_stroke_start(
            data.train,
            data.cache,
            intensity,
            wanted=experiment.data.pseudo_labels,
            seed=experiment.experiment.seed,
        )
        if stroke_start is not None:
            self._gradients.learn_from_strokes()
        training = experiment.training
        count = share_batch(training.train_batch_size, ranks.place.count)
        patch_size = to_index(order["patch_size"])
        # Last of what can fail: its threads are to be stopped.
        self._loader = PatchLoader(
            data.train,
            experiment.data.model_copy(update={"patch_size": patch_size}),
            intensity,
            batch_size=training.train_batch_size,
            part=(ranks.place.rank * count, count),
            seed=experiment.experiment.seed,
            workers=order["workers"],
            cache=data.cache,
            start_step=order["start_step"],
            filled=None if stroke_start is None else stroke_start.filled,
            foreground_shares=order["foreground_shares"],
        )
        self._labels = LabelRefresh(data.pairs, data.cache, self._loader, stroke_start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self._loader.close()

    def take_step(self, order: dict[str, Any]) -> None:
        """Compute the gradients of this part of a step, for the process that leads.

        Where that cannot be done here, or elsewhere, nothing remains of it; the process that
        leads knows.
        """
        loader, gradients = self._loader, self._gradients
        first, patch_size = order["first"], to_index(order["patch_size"])
        if (first, patch_size) != (loader.step, loader.patch_size):
            loader.restart(first, patch_size)
        loader.follow_foreground_shares(order["foreground_shares"])
        gradients.patches_at_once = order["patches_at_once"]
        torch.backends.cudnn.benchmark = order["autotune"]
        is_done = False
        try:
            compute_part(
                self._ranks,
                self._exchange,
                gradients,
                loader,
                order["loss_weights"],
                order["step"],
            )
            is_done = True
        except RankLostError:
            raise
        except Exception as error:  # noqa: BLE001 - the process that leads knows, and decides
            traceback.clear_frames(error.__traceback__)
        for parameter in gradients.network.parameters():
            parameter.grad = None
        if not is_done:
            self._data.cache.clear()
            free_memory()

    def take_strokes(self, order: dict[str, Any]) -> None:
        """Let the labels be changed by the process that leads, and draw from the new ones."""
        boxes = [(to_index(start), values.numpy()) for start, values in order["boxes"]]
        is_answered = False

        def write() -> None:
            nonlocal is_answered
            is_answered = True
            self._ranks.answer("held")
            if not self._ranks.next_order().get("is_written"):
                raise InterruptedError

        try:
            pairs = self._labels.pairs
            changed = {
                i: count_strokes(pairs[i], boxes) for i in self._labels.find(order["labels"])
            }
            self._labels.refresh(changed, boxes, write, order["step"])
        except InterruptedError:  # nothing was written
            return
        except RankLostError:
            raise
        except Exception as error:
            if is_answered:
                raise
            self._ranks.answer("held", f"{type(error).__name__}: {error}")
            self._ranks.next_order()
