"""How a prediction is made: the settings that every way of predicting shares.

No torch here, so that a window can hold them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.resampling import ResampleMode, Resampling
    from napari_surfseg.geometry import Box, Size3, Spacing3
    from napari_surfseg.model.grey_values import FitMode
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.surfaces.postprocess import PostProcess

__all__ = [
    "Flips",
    "OutputSettings",
    "Precision",
    "PredictionSettings",
    "TrainedModel",
    "WindowLimit",
    "WorkSettings",
]

Precision = Literal["auto", "float32", "bf16"]
Flips = bool | Literal["auto"]

#: Voxels up to which ``auto`` averages over the flips: about two minutes with the small nets.
AUTO_FLIPS_VOXELS = {"cpu": 2**24, "cuda": 2**29}


class TrainedModel(Protocol):
    """What a checkpoint has to offer (``model.checkpoint.Checkpoint`` does)."""

    @property
    def intensity(self) -> Intensity | None: ...  # noqa: D102
    @property
    def patch_size(self) -> Size3: ...  # noqa: D102
    @property
    def spacing(self) -> Spacing3: ...  # noqa: D102
    @property
    def units(self) -> str | None: ...  # noqa: D102
    @property
    def anisotropy(self) -> float | None: ...  # noqa: D102
    @property
    def experiment(self) -> Experiment: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def postprocess(self) -> dict[str, Any] | None: ...  # noqa: D102
    @property
    def surface_fraction(self) -> float | None: ...  # noqa: D102
    def build_model(self, device: Any) -> torch.nn.Module: ...  # noqa: D102


class WindowLimit:
    """The largest window that memory is known to hold, once it ran out.

    Parameters
    ----------
    report : callable, optional
        ``report(before, now)`` is called with the windows whenever it becomes smaller.
    """

    def __init__(self, report: Callable[[Size3, Size3], None] | None = None) -> None:
        self.window: Size3 | None = None
        self._largest: Size3 | None = None
        self.report = report

    def lower(self, before: Size3, now: Size3) -> None:
        """Use no larger window than ``now`` from here on, since ``before`` did not fit."""
        self.window = now
        self._largest = self._largest or before
        if self.report is not None:
            self.report(before, now)

    def describe(self) -> str | None:
        """Say in one sentence which window did not fit and which is used; None if all did."""
        if self.window is None or self._largest is None:
            return None
        return (
            f"Memory ran out with windows of {format_shape(self._largest)} voxels, so windows of "
            f"{format_shape(self.window)} were used."
        )


@dataclass(frozen=True)
class PredictionSettings:
    """How a network is slid over a volume.

    Change one with ``dataclasses.replace``.

    Attributes
    ----------
    intensity : Intensity, optional
        Its ``mean`` and ``std`` normalise the network's input; of a volume that is not
        uint8 yet, it also makes the uint8. None where each volume is normalised by its own,
        which whoever predicts a volume puts in its place.
    window : tuple of int
        Window, usually the training patch.
    overlap : float
        Least share of a window that its neighbour covers too, 0 up to but not including 1.
    multiple : tuple of int, optional
        The network takes sizes divisible by these. If given, ``window`` is where the
        choice of a larger window begins, which is quicker and better (see
        :func:`~napari_surfseg.inference.windows.choose_window`).
    context : int
        Voxels around a region that are predicted and dropped, so that the region's
        border is not a window's border. A whole volume has nothing around it.
    flips : bool or "auto"
        Average the probabilities of the eight flips; ``auto`` does it where the volume
        is small enough for the device (:data:`AUTO_FLIPS_VOXELS`).
    device : str or torch.device
        Where the model's weights are.
    precision : str
        ``float32``, ``bf16`` (autocast), or ``auto``, which with a checkpoint is as it was trained,
        and bf16 only where a GPU computes in it.
    batch_size : int, optional
        Windows given to the network at once; by default what suits the device.
    skip_constant : bool
        Windows of equal voxels (the void around a masked scan) get probability 0
        without the network.
    resample : str or tuple of float, optional
        As ``data.resample``: how the resampling of a whole volume is chosen; by default as the
        network was trained.
    resampling : Resampling, optional
        The network sees the volume in voxels of another size; boxes, shapes and results are those
        of the volume's own grid all the same, windows and context those of the network's.
    fit : str
        What is done where a whole volume's grey values do not fit those trained on; see
        :func:`~napari_surfseg.model.grey_values.fit_grey_values`.
    limit : WindowLimit, optional
        What fitted into memory so far, shared by predictions that follow each other.

    Raises
    ------
    ValueError
        If ``precision`` is none of the three.
    """

    intensity: Intensity | None
    window: Size3
    overlap: float = 0.25
    multiple: Size3 | None = None
    context: int = 0
    flips: Flips = False
    device: str | torch.device = "cpu"
    precision: Precision = "float32"
    batch_size: int | None = None
    skip_constant: bool = True
    resample: ResampleMode | None = None
    resampling: Resampling | None = None
    fit: FitMode = "auto"
    limit: WindowLimit | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ValueError(
                f"precision must be 'auto', 'float32' or 'bf16', not {self.precision!r}"
            )

    @classmethod
    def from_checkpoint(cls, checkpoint: TrainedModel) -> PredictionSettings:
        """Take intensity and window from a checkpoint, and the defaults for the rest."""
        return cls(intensity=checkpoint.intensity, window=checkpoint.patch_size, precision="auto")

    @property
    def known_intensity(self) -> Intensity:
        """The intensity, once it is known.

        Raises
        ------
        ValueError
            If it is not.
        """
        if self.intensity is None:
            raise ValueError("the grey values of the volume must be measured before it is seen")
        return self.intensity

    def with_precision_of(self, checkpoint: TrainedModel) -> PredictionSettings:
        """Turn ``auto`` into the precision of the training, as far as the device has it."""
        if self.precision != "auto":
            return self
        import torch

        from napari_surfseg.device import choose_precision

        trained = checkpoint.experiment.training.precision
        wanted: Literal["auto", "float32"] = "float32" if trained == "float32" else "auto"
        return replace(self, precision=choose_precision(wanted, torch.device(self.device)))

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        return str(self.device).partition(":")[0]

    def with_flips_for(self, shape: Size3) -> PredictionSettings:
        """Turn ``auto`` into yes for a volume that is small enough for the device."""
        if self.flips != "auto":
            return self
        is_small = math.prod(shape) <= AUTO_FLIPS_VOXELS.get(self.device_type, 0)
        return replace(self, flips=is_small)


@dataclass(frozen=True)
class OutputSettings:
    """What is written of a predicted volume.

    Attributes
    ----------
    probabilities : bool
        Write probabilities 0..255 instead of 0/1.
    threshold : float, optional
        A voxel is surface where its probability is above it; by default the
        checkpoint's with its post-processing, and 0.5 where there is no checkpoint.
    postprocess : PostProcess, optional
        Make the 0/1 with these settings instead of ``threshold`` alone; without effect
        on probabilities.
    min_component : int
        Remove 26-connected components of surface voxels smaller than this (in the
        probabilities: set them to 0). 0 keeps all.
    overwrite : bool
        Replace an existing output; it stays until the new one is complete.
    ome_zarr : str
        Version of OME-Zarr: ``0.5``, in shards, or ``0.4``, which every reader knows.
    """

    probabilities: bool = False
    threshold: float | None = None
    postprocess: PostProcess | None = None
    min_component: int = 0
    overwrite: bool = False
    ome_zarr: Literal["0.4", "0.5"] = "0.5"


@dataclass(frozen=True)
class WorkSettings:
    """How the work of a prediction is divided, and what becomes of it when it ends early.

    Attributes
    ----------
    folder : Path, optional
        Where finished blocks are kept; what lies there is gone on with. By default a hidden
        folder beside the output, which is removed whatever happens.
    network : str
        What ``open_network`` opens, for processes that join in.
    part : tuple of int, optional
        ``(3, 16)``: predict the third of sixteen parts, and write the output only if all others
        are finished.
    finish : bool
        Predict nothing; write the output, or say what is missing.
    restart : bool
        Begin again instead of going on.
    replaces : bool
        Begin again, instead of refusing, where another prediction lies in the folder.
    keep : bool
        Keep the folder when the output is written, so that another threshold takes no network.
    cluster : str, optional
        ``local:4``, the address of a Dask scheduler or a YAML file; see
        :mod:`~napari_surfseg.inference.cluster`.
    first : (start, stop), optional
        Voxels that are predicted before all others.
    coarse : int, optional
        Predict in voxels this many times as long first, and leave out what is surely empty.
    say : callable, optional
        Called with sentences that should not wait for the end.
    """

    folder: Path | None = None
    network: str = ""
    part: tuple[int, int] | None = None
    finish: bool = False
    restart: bool = False
    replaces: bool = False
    keep: bool = False
    cluster: str | None = None
    first: Box | None = None
    coarse: int | None = None
    say: Callable[[str], None] | None = field(default=None, compare=False)
