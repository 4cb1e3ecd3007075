"""The network, its loss, and the gradients of a step: what every process that trains has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _NormBase

from napari_surfseg.data.patches.warp import warp_batch
from napari_surfseg.geometry import to_index
from napari_surfseg.losses.combined import (
    LossSettings,
    compute_combined_loss,
    compute_loss_targets,
    terms_at_step,
)
from napari_surfseg.model.networks import build_network
from napari_surfseg.model.stop_checks import check_backward, check_between_layers
from napari_surfseg.training.stroke_start import STROKES_POS_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.patches.loader import Batch
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.losses.combined import LossResult
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.networks import AnyArchitecture

__all__ = ["GradientComputer", "StepLoss"]


@dataclass(frozen=True)
class StepLoss:
    """The loss of a step whose gradients are in the network's parameters.

    Attributes
    ----------
    names : list of str
        ``total``, ``head_total`` and every term that was evaluated.
    values : Tensor
        One of each, raw, still on the device.
    """

    names: list[str]
    values: Tensor


class GradientComputer:
    """Computes the loss of a step and its gradients.

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
        Where to compute.
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
        self.network = build_network(
            experiment.model, experiment.data.patch_size, device=device.type
        ).to(device)
        if device.type == "cuda":
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        #: Statistics of batches, which a forward pass changes.
        self.statistics = [
            tensor
            for module in self.network.modules()
            if isinstance(module, _NormBase)
            for tensor in module.buffers()
        ]
        #: Patches of a batch that go through the network together; the others follow.
        self.patches_at_once = experiment.training.train_batch_size

    def check_between_layers(self) -> None:
        """Let a pass through the network end between two layers where work should end."""
        check_between_layers(self.network)

    def learn_from_strokes(self) -> None:
        """Learn from targets that are filled in around strokes."""
        self._loss_settings = replace(self._loss_settings, pos_weight=STROKES_POS_WEIGHT)

    def compute(
        self, batches: Iterator[Batch], loss_weights: Mapping[str, float], step: int
    ) -> StepLoss:
        """Leave the gradients of a step in the parameters, which have none yet.

        Parameters
        ----------
        batches : iterator of Batch
            ``training.accumulate`` of them are taken, each in parts of ``patches_at_once``.
        loss_weights : mapping
            Weight of each term.
        step : int
            Number of this step, from 0.
        """
        training = self._experiment.training
        due = terms_at_step(step, self._experiment.loss.interval)
        self.network.train()
        rows: list[Tensor] = []
        names: list[str] = []
        for number in range(training.accumulate):
            batch, index = next(batches), step * training.accumulate + number
            if number == 0 and self._architecture.is_random:
                # Tied to the step, so that a resumed run repeats what an unbroken one does, and
                # to the place in the batch: no two processes drop the same channels.
                seed = self._experiment.experiment.seed + step
                torch.manual_seed(seed + 7_919 * batch.part[0])
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
        return StepLoss(names, torch.stack(rows).mean(0))

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

    def _send(self, values: NDArray[np.uint8]) -> Tensor:
        """Bring values to the device, without waiting where that is a GPU."""
        tensor = torch.from_numpy(values)
        if self._device.type != "cuda":
            return tensor
        # From pinned memory, a GPU fetches it while the next part of the step is prepared.
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _move(self, batch: Batch, index: int, part: slice) -> tuple[Tensor, Tensor]:
        """Bring patches to the device, normalise them and warp some."""
        labels, image = (self._send(values[part]) for values in (batch.labels, batch.image))
        image = image.float()
        image = (image / 255 - self._intensity.mean) / self._intensity.std
        augmentation = self._experiment.data.augmentation
        if not (augmentation.affine or augmentation.elastic):
            return image, labels
        seed = self._experiment.experiment.seed * 1_000_003 + index
        first, num_patches = batch.part
        return warp_batch(
            image,
            labels,
            affine=augmentation.affine,
            elastic=augmentation.elastic,
            generator=torch.Generator().manual_seed(seed),
            spacing=self._spacing,
            part=(first + part.start, num_patches),
        )
