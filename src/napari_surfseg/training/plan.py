"""What is settled before a volume is opened: device, precision, network, and how a run begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_surfseg.device import choose_device, choose_precision
from napari_surfseg.errors import ConfigError
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.networks import resolve_network, settle_model
from napari_surfseg.model.presets import check_patch_size, choose_preset
from napari_surfseg.networks.registry import AUTO, FRESH
from napari_surfseg.training.start_from import adopt_model, load_start, take_weights

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from napari_surfseg.config import Experiment
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.networks import AnyArchitecture
    from napari_surfseg.training.start_from import Start

__all__ = ["RunFolders", "RunPlan", "plan_run"]

#: Where neither epochs nor minutes bound the training.
DEFAULT_EPOCHS = 32


@dataclass(frozen=True)
class RunFolders:
    """Where a training writes: checkpoints, live previews, and samples for the report."""

    checkpoints: Path
    previews: Path
    samples: Path

    @property
    def best(self) -> Path:
        """The checkpoint with the best scores."""
        return self.checkpoints / "best.pt"

    @property
    def last(self) -> Path:
        """The newest checkpoint, which a run is resumed from."""
        return self.checkpoints / "last.pt"


@dataclass(frozen=True)
class RunPlan:
    """What a run is made with.

    Attributes
    ----------
    experiment : Experiment
        Its model and its bounds settled: ``model.preset`` is not ``auto``.
    folders : RunFolders
        Where it writes.
    device : torch.device
        Where the network learns.
    precision : str
        ``float32`` or ``bf16``.
    architecture : Architecture or MonaiArchitecture
        The network in numbers.
    start : Start or None
        Whose weights the network begins with.
    resume : bool
        Go on from ``last.pt``.
    """

    experiment: Experiment
    folders: RunFolders
    device: torch.device
    precision: Literal["float32", "bf16"]
    architecture: AnyArchitecture
    start: Start | None
    resume: bool


def plan_run(
    experiment: Experiment, folders: RunFolders, *, device: str | torch.device, resume: bool
) -> RunPlan:
    """Settle what the configuration leaves open, so that a checkpoint repeats it anywhere.

    Raises
    ------
    ConfigError, CheckpointError
        If the device, the patch size, or the checkpoint to start from cannot be used.
    """
    chosen = choose_device(device) if isinstance(device, str) else device
    model = experiment.model
    found = None
    if resume:
        # It started from other weights once, and has its own now.
        known = load_checkpoint(folders.last) if model.preset == "auto" else None
    else:
        found = load_start(model, choose_preset(model, chosen.type))
        known = None if found is None or model.start_from == AUTO else found[1]
    settled = _settle(experiment, chosen, known)
    architecture = resolve_network(settled.model, settled.data.patch_size, device=chosen.type)
    check_patch_size(settled.data.patch_size, architecture)
    start = None
    if found is not None:
        start = _take(settled, *found, only_whole=model.start_from == AUTO)
    if not resume:
        source = FRESH if start is None else start.source
        model = settled.model.model_copy(update={"start_from": source})
        settled = settled.model_copy(update={"model": model})
    return RunPlan(
        experiment=settled,
        folders=folders,
        device=chosen,
        precision=choose_precision(experiment.training.precision, chosen),
        architecture=architecture,
        start=start,
        resume=resume,
    )


def _take(
    experiment: Experiment, source: str, checkpoint: Checkpoint, *, only_whole: bool
) -> Start | None:
    """Take what fits; of a network that nobody named all, or nothing."""
    try:
        start = take_weights(experiment.model, source, checkpoint, experiment.data.patch_size)
    except ConfigError:
        if only_whole:
            return None
        raise
    return start if start.is_whole or not only_whole else None


def _settle(experiment: Experiment, device: torch.device, known: Checkpoint | None) -> Experiment:
    """Settle the network and the length; ``known`` is what the run goes on or starts from."""
    model, training = experiment.model, experiment.training
    if model.preset == "auto" and known is not None:
        model = adopt_model(model, known)
    elif model.preset == "auto":
        model = model.model_copy(update={"preset": choose_preset(model, device.type)})
    model = settle_model(model)
    if training.max_epochs is None and training.max_minutes is None:
        training = training.model_copy(update={"max_epochs": DEFAULT_EPOCHS})
    return experiment.model_copy(update={"model": model, "training": training})
