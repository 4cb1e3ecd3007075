"""Checkpoints: one ``.pt`` file of tensors and plain values, and a JSON summary beside it.

::

    best.pt     averaged weights, the ones that were scored, and how to use them
    last.pt     the same, and what resuming needs: raw weights, optimizer, counters
    best.json   the summary: what a window shows without torch

A checkpoint is never unpickled (``weights_only=True``): a file from somebody
else can be damaged or foreign, but cannot run code. Nor can it ask for more memory
than its size (:mod:`~napari_surfseg.model.checkpoint_archive`).
"""

from __future__ import annotations

import errno
import json
import math
import pickle
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import CheckpointError, ConfigError, OutputError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.model.checkpoint_archive import UnsafeArchiveError, check_archive
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.networks import build_network, find_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from napari_surfseg.config import Experiment
    from napari_surfseg.geometry import Size3, Spacing3
    from napari_surfseg.model.networks import AnyNetwork

__all__ = [
    "Checkpoint",
    "check_weights",
    "describe_checkpoint",
    "load_checkpoint",
    "rebuild_checkpoint",
    "save_checkpoint",
]

FORMAT = "napari-surfseg checkpoint"
VERSION = 1

#: Where less than this is free, a failed write is taken for a full disk; checkpoints take 5 to
#: 700 MB.
FULL_DISK_BYTES = 2**30


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and all that is needed to use it.

    Attributes
    ----------
    experiment : Experiment
        What it was trained with; ``model.preset`` is never ``auto``.
    weights : dict of Tensor
        The averaged weights.
    intensity : Intensity, optional
        How grey values become network input; None where each volume is normalised by its own.
    patch_size, spacing : tuple
        Z, Y, X; the spacing is that of the training volumes.
    units : str, optional
        Unit of the spacing; None where none was known, and of older checkpoints.
    threshold : float
        Probability above which a voxel is surface, chosen on the validation data.
    postprocess : dict, optional
        Clean-up settings chosen on the validation data.
    epoch, step : int
        Finished when it was saved.
    surface_fraction : float, optional
        Greatest share of surface in the annotated voxels of a training volume.
    metrics : dict
        Validation scores of these weights; empty if they were not scored.
    chosen_by : str, optional
        The score by which they were the best of their run; None of ``last.pt``, and where
        nothing was scored.
    training : dict, optional
        What resuming needs; only in ``last.pt``.
    anisotropy : float, optional
        Longest edge of a voxel by the shortest, up to which it was trained on volumes of no
        voxel size in particular; None where it was trained on voxels of :attr:`spacing`.
    notes : tuple of str
        Sentences for whoever uses it, on what was settled as it was read.
    """

    experiment: Experiment
    weights: dict[str, Tensor]
    intensity: Intensity | None
    patch_size: Size3
    spacing: Spacing3
    threshold: float = 0.5
    postprocess: dict[str, Any] | None = None
    epoch: int = 0
    step: int = 0
    surface_fraction: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] | None = None
    units: str | None = None
    anisotropy: float | None = None
    chosen_by: str | None = None
    notes: tuple[str, ...] = ()

    def build_model(self, device: str | torch.device = "cpu") -> AnyNetwork:
        """Build the network with these weights, in evaluation mode."""
        network = build_network(
            self.experiment.model, self.patch_size, device=torch.device(device).type
        )
        network.load_state_dict(self.weights)
        return network.to(device).eval()

    def summary(self) -> dict[str, Any]:
        """Plain values for a person or a window: no tensors."""
        values = None if self.intensity is None else self.intensity.values
        return {
            "name": self.experiment.experiment.name,
            "model": self.experiment.model.title,
            "patch_size": list(self.patch_size),
            "spacing": list(self.spacing),
            "units": self.units,
            "threshold": self.threshold,
            "postprocess": self.postprocess,
            "epoch": self.epoch,
            "step": self.step,
            "grey_values": None if values is None else values.as_dict(),
            "surface_fraction": self.surface_fraction,
            "metrics": {k: v for k, v in self.metrics.items() if math.isfinite(v)},
            "chosen_by": self.chosen_by,
            "num_parameters": _count_learned(self.weights),
        }


def _count_learned(weights: Mapping[str, Tensor]) -> int:
    """Count the numbers that are learned; a tensor that goes by two names counts once."""
    learned = {
        (tensor.data_ptr(), tensor.shape): tensor.numel()
        for name, tensor in weights.items()
        if _is_learned(name, tensor)
    }
    return sum(learned.values())


def _is_learned(name: str, tensor: Tensor) -> bool:
    """Whether a tensor is a weight; others count, point, or are statistics of batches."""
    return tensor.is_floating_point() and not name.endswith(("running_mean", "running_var"))


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> str | None:
    """Write a checkpoint aside, flush it and rename it; then its JSON summary.

    Returns
    -------
    str or None
        Why the summary could not be written, which loses nothing: the checkpoint holds the same.

    Raises
    ------
    OutputError
        If it cannot be written; an earlier file of that name is untouched.
    """
    values = {
        "format": FORMAT,
        "version": VERSION,
        "weights": checkpoint.weights,
        "training": checkpoint.training,
        **describe_checkpoint(checkpoint),
    }
    with written_aside(path) as temporary:
        try:
            torch.save(values, temporary)
        except RuntimeError as error:
            raise explain_write_error(path, _find_cause(path, error)) from error
    try:
        with written_aside(path.with_suffix(".json")) as temporary:
            text = json.dumps(checkpoint.summary(), indent=2) + "\n"
            temporary.write_text(text, encoding="utf-8")
    except OutputError as error:
        return str(error)
    return None


def describe_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Plain values of all that a checkpoint holds besides its tensors."""
    return {
        "experiment": checkpoint.experiment.model_dump(mode="json"),
        "intensity": None if checkpoint.intensity is None else checkpoint.intensity.as_dict(),
        "patch_size": list(checkpoint.patch_size),
        "spacing": list(checkpoint.spacing),
        "units": checkpoint.units,
        "anisotropy": checkpoint.anisotropy,
        "threshold": checkpoint.threshold,
        "postprocess": checkpoint.postprocess,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "surface_fraction": checkpoint.surface_fraction,
        "metrics": checkpoint.metrics,
        "chosen_by": checkpoint.chosen_by,
    }


def _find_cause(path: Path, error: RuntimeError) -> OSError:
    """Say why torch's archive writer failed: it reports a full disk, too, without an errno."""
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as missing:
        return missing
    if free < FULL_DISK_BYTES:
        return OSError(errno.ENOSPC, str(error))
    return OSError(errno.EIO, str(error).split("\n", 1)[0].rstrip("."))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, not one of ours, of a newer version, or
        its weights do not fit its own model.
    """
    path = Path(path)
    values = _read(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a napari-surfseg checkpoint; choose a best.pt or last.pt that a run "
            "wrote."
        )
    if values.get("version") != VERSION:
        raise CheckpointError(
            f"{path} is of checkpoint version {values.get('version')}, but this program reads "
            f"version {VERSION}; update napari-surfseg."
        )
    return rebuild_checkpoint(path, values)


def rebuild_checkpoint(path: Path, values: Mapping[str, Any]) -> Checkpoint:
    """Make a checkpoint of what :func:`describe_checkpoint` gave and its tensors, and check it.

    Parameters
    ----------
    path : Path
        For sentences.
    values : mapping
        With ``weights`` and ``training`` besides.

    Raises
    ------
    CheckpointError
        Naming ``path``, if anything is missing, of the wrong kind or does not fit.
    """
    try:
        checkpoint = Checkpoint(
            experiment=build_experiment(values["experiment"], source=str(path)),
            weights=dict(values["weights"]),
            intensity=_read_intensity(values["intensity"]),
            patch_size=_triple(values["patch_size"], int),
            spacing=_triple(values["spacing"], float),
            threshold=float(values["threshold"]),
            postprocess=values["postprocess"],
            epoch=int(values["epoch"]),
            step=int(values["step"]),
            surface_fraction=_number(values.get("surface_fraction")),
            metrics={str(key): float(value) for key, value in values["metrics"].items()},
            training=values["training"],
            units=_read_text(values.get("units")),
            chosen_by=_read_text(values.get("chosen_by")),
            anisotropy=_number(values.get("anisotropy")),
        )
    except ConfigError as error:
        raise CheckpointError(f"The settings inside {path} are not usable: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged: its entry {error} is missing or of the wrong kind."
        ) from None
    check_weights(path, checkpoint)
    return checkpoint


def _read(path: Path) -> Any:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; name a checkpoint file such as best.pt.")
    try:
        check_archive(path)
        with warnings.catch_warnings():
            # torch warns about foreign pickles before it refuses them; our sentence says more.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except UnsafeArchiveError as error:
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of this program: {error}; it was not opened."
        ) from None
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} holds something other than tensors and plain values, or is damaged; it was "
            "not opened, because such a file could run code."
        ) from None
    except Exception as error:  # noqa: BLE001 - what is no pickle can raise anything
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = text.split("\n", 1)[0].rstrip(".")
        raise CheckpointError(f"{path} is damaged or not a checkpoint: {reason}.") from None


def _read_intensity(values: Any) -> Intensity | None:
    return None if values is None else Intensity.from_dict(values)


def _read_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{value!r}")


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _triple(values: Any, kind: type) -> Any:
    triple = tuple(kind(value) for value in values)
    if len(triple) != 3 or not all(value > 0 for value in triple):
        raise ValueError(f"{triple}")
    return triple


def check_weights(path: Path, checkpoint: Checkpoint) -> None:
    """Compare names and shapes with the model's, without allocating it.

    Raises
    ------
    CheckpointError
        Naming the file and the first weight that is missing, foreign or not finite.
    """
    try:
        expected = find_weights(checkpoint.experiment.model, checkpoint.patch_size)
    except ConfigError as error:
        raise CheckpointError(f"The network inside {path} is not usable: {error}") from None
    if "refine.weight" in expected and "head.linear.bias" in checkpoint.weights:
        raise CheckpointError(
            f"{path} is of an earlier version, whose networks tiny and small left a checker board "
            "of 2x2x2 voxels and were built otherwise; train again."
        )
    for name, tensor in expected.items():
        found = checkpoint.weights.get(name)
        if not isinstance(found, torch.Tensor):
            raise CheckpointError(f"{path} is damaged: its weights lack {name}.")
        if found.shape != tensor.shape:
            raise CheckpointError(
                f"{path} is damaged: its weight {name} has shape {tuple(found.shape)}, but its "
                f"model needs {tuple(tensor.shape)}."
            )
        if not torch.isfinite(found).all():
            raise CheckpointError(f"{path} is damaged: its weight {name} holds NaN or infinity.")
    foreign = set(checkpoint.weights) - set(expected)
    if foreign:
        raise CheckpointError(f"{path} is damaged: its weights hold a stray {min(foreign)}.")
