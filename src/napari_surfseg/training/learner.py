"""The network while it learns: weights, optimizer, average, and one step at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _NormBase

from napari_surfseg.data.patches.warp import warp_batch
from napari_surfseg.errors import NonFiniteLossError
from napari_surfseg.geometry import to_index
from napari_surfseg.losses.combined import (
    LossSettings,
    compute_combined_loss,
    compute_loss_targets,
    terms_at_step,
)
from napari_surfseg.model.networks import build_network
from napari_surfseg.model.stop_checks import check_backward, check_between_layers
from napari_surfseg.out_of_memory import when_out_of_memory
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.training.stroke_start import STROKES_POS_WEIGHT
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from torch import Tensor

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.patches.loader import Batch
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.losses.combined import LossResult
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.networks import AnyArchitecture

__all__ = ["Learner"]


class Learner:
    """Holds what a step changes, and takes steps.

    Parameters
    ----------
    experiment : Experiment
        Loss, training and augmentation settings.
    architecture : Architecture
        The network in numbers.
    intensity : Intensity
        Its ``mean`` and ``std`` normalise the network's input.
    spacing : tuple of float
        Z, Y, X voxel size, the finest axis 1.
    device : torch.device
        Where to learn.
    precision : str
        ``float32`` or ``bf16``.
    """

    def __init__(
        self,
        experiment: Experiment,
        architecture: AnyArchitecture,
        intensity: Intensity,
        spacing: Spacing3,
        *,
        device: torch.device,
        precision: str,
    ) -> None:
        self._experiment = experiment
        self._architecture = architecture
        self._intensity = intensity
        self._spacing = spacing
        self._device = device
        self._precision = precision
        loss = experiment.loss
        self._loss_settings = LossSettings(
            pos_weight=loss.pos_weight,
            skeleton_iterations=loss.skeleton_iterations,
            tolerance=loss.tolerance,
            spacing=spacing,
            euler_window=loss.euler_window,
        )
        training = experiment.training
        self.network = build_network(
            experiment.model, experiment.data.patch_size, device=device.type
        ).to(device)
        if device.type == "cuda":
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        decay = training.ema_decay
        self.average = WeightAverage(
            self.network, architecture.ema_decay if decay == "auto" else decay
        )
        self._statistics = [
            tensor
            for module in self.network.modules()
            if isinstance(module, _NormBase)
            for tensor in module.buffers()
        ]
        for network in (self.network, self.average.network):
            check_between_layers(network)
        self._optimizer = AdamW(self.network.parameters(), weight_decay=training.weight_decay)
        #: Patches of a batch that go through the network together; the others follow.
        self.patches_at_once = training.train_batch_size
        #: False from the first change of a weight until the whole step is taken.
        self.is_whole = True

    @property
    def num_parameters(self) -> int:
        """Trainable numbers in the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def learn_from_strokes(self) -> None:
        """Learn from targets that are filled in around strokes."""
        self._loss_settings = replace(self._loss_settings, pos_weight=STROKES_POS_WEIGHT)

    def take_step(
        self, batches: Iterator[Batch], loss_weights: Mapping[str, float], rate: float, step: int
    ) -> dict[str, float]:
        """Take one optimizer step.

        Parameters
        ----------
        batches : iterator of Batch
            ``training.accumulate`` of them are taken, each in parts of ``patches_at_once``.
        loss_weights : mapping
            Weight of each term.
        rate : float
            Learning rate.
        step : int
            Number of this step, from 0.

        Returns
        -------
        dict
            ``total``, ``head_total``, ``gradient_norm`` (before clipping) and
            every term that was evaluated, raw.

        Raises
        ------
        NonFiniteLossError, CancelledError
            Before any weight was changed.
        """
        statistics = [tensor.clone() for tensor in self._statistics]
        try:
            return self._take_step(batches, loss_weights, rate, step)
        except BaseException:
            # The forward pass counts batches in, also those of a step that is not taken.
            for tensor, before in zip(self._statistics, statistics, strict=True):
                tensor.copy_(before)
            raise

    def _take_step(
        self, batches: Iterator[Batch], loss_weights: Mapping[str, float], rate: float, step: int
    ) -> dict[str, float]:
        training = self._experiment.training
        due = terms_at_step(step, self._experiment.loss.interval)
        if self._architecture.is_random:
            # Tied to the step, so that a resumed run repeats what an unbroken one does.
            torch.manual_seed(self._experiment.experiment.seed + step)
        self.network.train()
        self._optimizer.forget_gradients()
        rows: list[Tensor] = []
        names: list[str] = []
        for number in range(training.accumulate):
            batch, index = next(batches), step * training.accumulate + number
            row: Tensor | float = 0.0
            for part, share in self._split(batch):
                result = self._compute_loss(batch, index, part, loss_weights, due)
                for value in result.terms.values():
                    check_backward(value)
                (result.total / (training.accumulate / share)).backward()  # type: ignore[no-untyped-call]
                names = ["total", "head_total", *result.terms]
                terms = torch.stack([result.total, result.head_total, *result.terms.values()])
                row = row + terms.detach() * share
            rows.append(torch.as_tensor(row))
        clip = training.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), math.inf if clip is None else clip
        )
        # One transfer a step: the values are wanted for the log and for the check below.
        found = torch.cat([torch.stack(rows).mean(0), norm.detach()[None]]).tolist()
        values = dict(zip([*names, "gradient_norm"], found, strict=True))
        _refuse_nonfinite(values, step)
        self.is_whole = False
        changes: tuple[Callable[[], None], ...] = (
            lambda: self._optimizer.step(rate),
            lambda: self.average.update(self.network),
        )
        for change in changes:
            # What was changed already stays, and the step becomes whole: the graph is gone by
            # now and weights are small beside it, so that freed memory is likely to help.
            with when_out_of_memory(change):
                change()
        self.is_whole = True
        return values

    def forget_step(self) -> None:
        """Drop what is left of a step that could not be finished."""
        self._optimizer.forget_gradients()

    def compile_ahead(self, loss_weights: Mapping[str, float]) -> None:
        """Run the compiled loops of the loss once, on a patch too small to take time."""
        edge = max(16, self._loss_settings.euler_window)
        labels = torch.zeros(1, 1, edge, edge, edge, dtype=torch.uint8, device=self._device)
        labels[:, :, 7:9] = 1
        labels[:, :, :, :2] = 2
        targets = compute_loss_targets(labels, self._loss_settings)
        logits = torch.zeros(labels.shape, device=self._device, requires_grad=True)
        result = compute_combined_loss([logits], targets, loss_weights)
        result.total.backward()  # type: ignore[no-untyped-call]

    def _split(self, batch: Batch) -> Iterator[tuple[slice, float]]:
        """Give the parts of a batch that fit into memory, and what share of it each is."""
        count = len(batch.image)
        for begin in range(0, count, self.patches_at_once):
            part = slice(begin, min(begin + self.patches_at_once, count))
            yield part, (part.stop - begin) / count

    def _compute_loss(
        self,
        batch: Batch,
        index: int,
        part: slice,
        loss_weights: Mapping[str, float],
        due: Collection[str],
    ) -> LossResult:
        """Compute the loss of some patches of the batch of this index in the stream."""
        image, labels = self._move(batch, index, part)
        shapes = self._architecture.head_shapes(to_index(labels.shape[2:]))
        targets = compute_loss_targets(labels, self._loss_settings, head_shapes=shapes)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            heads = self.network(image)
        return compute_combined_loss(heads, targets, loss_weights, among=due)

    def _move(self, batch: Batch, index: int, part: slice) -> tuple[Tensor, Tensor]:
        """Bring patches to the device, normalise them and warp some."""
        labels = torch.from_numpy(batch.labels[part]).to(self._device, non_blocking=True)
        image = torch.from_numpy(batch.image[part]).to(self._device, non_blocking=True).float()
        image = (image / 255 - self._intensity.mean) / self._intensity.std
        augmentation = self._experiment.data.augmentation
        if not (augmentation.affine or augmentation.elastic):
            return image, labels
        seed = self._experiment.experiment.seed * 1_000_003 + index
        return warp_batch(
            image,
            labels,
            affine=augmentation.affine,
            elastic=augmentation.elastic,
            generator=torch.Generator().manual_seed(seed),
            spacing=self._spacing,
            part=(part.start, len(batch.image)),
        )

    def start_with(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with other weights than fresh ones; coarse heads they lack stay fresh."""
        for network in (self.network, self.average.network):
            network.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Any]:
        """Return what resuming needs besides the averaged weights: tensors and plain values."""
        return {
            "weights": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "num_updates": self.average.num_updates,
        }

    def restore(self, state: Mapping[str, Any], averaged: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`; what does not fit raises as torch does."""
        self.network.load_state_dict(state["weights"])
        self.average.restore(averaged, int(state["num_updates"]))
        self._optimizer.load_state_dict(state["optimizer"])
        self.is_whole = True


def _refuse_nonfinite(values: Mapping[str, float], step: int) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return
    culprit = next((name for name in LOSS_TERMS if name in bad), bad[0])
    raise NonFiniteLossError(
        f"The {culprit.replace('gradient_norm', 'norm of the gradient')} became "
        f"{values[culprit]} at step {step + 1}, before the weights were changed; lower "
        "training.max_learning_rate or the weight of that term, or use "
        "training.precision=float32, and resume.",
        field="training.max_learning_rate",
    )
