"""A prediction: what is asked for, made by a process of its own, and loaded."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_surfseg.errors import CancelledError, RunError
from napari_surfseg.gui.layers.copies import hand_over
from napari_surfseg.gui.layers.layer_data import IN_MEMORY_BYTES
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.gui.layers.placement import compute_placement, place_of
from napari_surfseg.inference.prediction_folder import PredictionFolder
from napari_surfseg.inference.prediction_process import PredictionJob
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.runs.checkpoints import find_trained
from napari_surfseg.runs.folder import find_new_run_path

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.controls.source_choice import SourceChoice

__all__ = ["PredictForm", "Prediction", "run_prediction"]

#: Finished blocks of a prediction that nobody went on with are kept for so long: two weeks.
KEPT_SECONDS = 14 * 86400.0


@dataclass(frozen=True)
class PredictForm:
    """What a person asks for.

    Attributes
    ----------
    checkpoint : str
        Path of a checkpoint or a run folder, or the name of a network of the package.
    newest : bool
        Of a run, the newest weights instead of the best.
    source : SourceChoice or None
        The volume.
    threshold, min_voxels : optional
        None for what the checkpoint was tuned to.
    overlap : float
        Share of a window that its neighbour sees again.
    flips : bool or "auto"
        Average over the eight flips.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    sheets : bool
        Give each connected sheet a label of its own.
    skeleton, mesh : bool
        Make these layers too.
    folder : str
        Each prediction gets a folder in it.
    """

    checkpoint: str
    newest: bool
    source: SourceChoice | None
    threshold: float | None
    min_voxels: int | None
    overlap: float
    flips: bool | Literal["auto"]
    device: str
    sheets: bool
    skeleton: bool
    mesh: bool
    folder: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a finished prediction left.

    Attributes
    ----------
    folder : Path
        Holds the files.
    result : dict
        As the process reported it.
    name : str
        Of the volume.
    arrays : dict
        ``probabilities``, ``surface``, ``skeleton``, ``vertices`` and ``faces``.
    checkpoint : Path, optional
        What it was made with; None for a network of the package.
    made : float
        When that file was written, in seconds.
    shape : tuple of int, optional
        Z, Y, X voxels of the whole volume.
    box : (start, stop), optional
        Which of them were predicted; None for all.
    found_by : str
        The network of the package that made it; empty for one of a person's own.
    """

    folder: Path
    result: dict[str, Any]
    name: str
    arrays: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    made: float = 0.0
    shape: Size3 | None = None
    box: Box | None = None
    found_by: str = ""

    def find_place(self, source: Layer | None, origin: Index3) -> dict[str, Any]:
        """Find where a voxel of the volume lies: over its layer, else where its file says.

        Returns
        -------
        dict
            As ``compute_placement`` does.
        """
        if source is not None:
            return compute_placement(source, origin)
        scale = np.asarray(self.result.get("spacing", (1.0, 1.0, 1.0)), float)
        start = np.asarray(self.result.get("translate", (0.0, 0.0, 0.0)), float)
        z, y, x = (start + scale * origin).tolist()
        return place_of(tuple(scale.tolist()), (z, y, x), self.result.get("units"))

    def name_layer(self, part: str) -> str:
        """Name the layer of a part; it says where no training of the person's own was at work."""
        return f"{self.name} {part}" + (f" (found by {self.found_by})" if self.found_by else "")

    @property
    def origin(self) -> Index3:
        """Voxel of the volume at which it begins."""
        return (0, 0, 0) if self.box is None else self.box[0]


def _load(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Load the arrays of a result; large ones stay on disk."""
    import zarr

    path = folder / result["probabilities"]
    array: Any
    if path.suffix == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    else:
        array = zarr.open_group(str(path), mode="r")["0"]
    small = array.nbytes <= IN_MEMORY_BYTES
    arrays: dict[str, Any] = {"probabilities": np.array(array[:]) if small else array}
    for key in ("surface", "skeleton"):
        if key in result:
            # Copy on write: a large surface stays on disk, and what is mended in memory.
            mode: Any = None if small else "c"
            arrays[key] = np.load(folder / result[key], mmap_mode=mode, allow_pickle=False)
    if "mesh" in result:
        with np.load(folder / result["mesh"], allow_pickle=False) as mesh:
            arrays["vertices"], arrays["faces"] = mesh["vertices"], mesh["faces"]
    return arrays


def _find_blocks(
    parent: Path, form: PredictForm, volume: LayerVolume, network: str
) -> PredictionFolder:
    """Find where the finished blocks of a prediction are kept until all are.

    By its name only what may be the same; whether it is, the process finds out.
    """
    unfinished = parent / ".unfinished"
    with contextlib.suppress(OSError):
        for old in unfinished.iterdir():
            if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    asked = (volume.name, volume.shape, network, form.overlap, form.flips)
    name = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    return PredictionFolder(unfinished / name)


def run_prediction(
    form: PredictForm,
    volume: LayerVolume | str,
    process: JobProcess,
    box: Box | None = None,
    *,
    first: Box | None = None,
) -> Prediction:
    """Run a prediction to its end and load its result; waits for the disk and the process.

    Parameters
    ----------
    form : PredictForm
        What is asked for; its ``source`` is not looked at.
    volume : LayerVolume or str
        The volume, or the path of its file.
    process : JobProcess
        Reports the stages, and asks before a large layer is copied.
    box : (start, stop), optional
        Voxels to predict; None for all.
    first : (start, stop), optional
        Of all, those that are predicted first.

    Raises
    ------
    SurfsegError
        If it fails or is cancelled; its folder is deleted then. What is finished of a whole volume
        is kept, and gone on with by the next prediction of the same.
    """
    network = find_trained(form.checkpoint, newest=form.newest)
    checkpoint = network.resolve() if isinstance(network, Path) else None
    made = 0.0 if checkpoint is None else checkpoint.stat().st_mtime
    taken = take_file(volume) if isinstance(volume, str) else volume
    stem = Path(taken.name.rstrip("/")).stem if isinstance(volume, str) else taken.name
    parent = Path(form.folder or ".").expanduser().resolve()
    folder = find_new_run_path(stem, parent)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None
    blocks = _find_blocks(parent, form, taken, f"{checkpoint or network} {made}")
    try:
        taken, path = hand_over(
            taken,
            folder / "input.zarr",
            ask=process.ask,
            progress=partial(process.report, "copying the layer"),
            check=process.check_cancelled,
        )
        job = PredictionJob(
            image=path,
            checkpoint=str(checkpoint or network),
            threshold=form.threshold,
            min_voxels=form.min_voxels,
            overlap=form.overlap,
            flips=form.flips,
            device=form.device,
            spacing=taken.spacing if taken.spacing_known else None,
            sheets=form.sheets,
            skeleton=form.skeleton,
            mesh=form.mesh,
            box=box,
            blocks=None if box is not None else str(blocks.path),
            first=first,
        )
        names = {} if isinstance(volume, str) else {path: taken.name}
        result = process.run(write_job(folder, job), names)
        result["warnings"] = [*result.get("warnings", []), *filter(None, [taken.note])]
        result |= {"translate": taken.translate, "units": taken.units}
        arrays = _load(folder, result)
    except CancelledError as error:
        shutil.rmtree(folder, ignore_errors=True)
        finished = 0 if box is not None else blocks.count_finished()
        if not finished:
            raise
        raise CancelledError(
            f"The prediction was cancelled. {finished} finished blocks of {stem} are kept: Predict "
            "goes on from there."
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    found_by = "" if checkpoint is not None else str(network)
    return Prediction(folder, result, stem, arrays, checkpoint, made, taken.shape, box, found_by)
