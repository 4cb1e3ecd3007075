"""A prediction: made by a process of its own, loaded, and turned into layers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import CheckpointError, RunError
from napari_surfseg.gui.layers.copies import hand_over
from napari_surfseg.gui.layers.layer_data import IN_MEMORY_BYTES
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.gui.layers.placement import compute_placement, place_of
from napari_surfseg.inference.prediction_process import PredictionJob
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.model.checkpoint_summary import find_checkpoint
from napari_surfseg.runs.folder import find_new_run_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_surfseg.geometry import Box
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.predict.view import PredictForm

__all__ = ["Prediction", "choose_checkpoint", "run_prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a finished prediction left.

    Attributes
    ----------
    folder : Path
        Holds the files.
    result : dict
        As the process told it.
    name : str
        Of the volume.
    arrays : dict
        ``probabilities``, ``surface``, ``skeleton``, ``vertices`` and ``faces``.
    checkpoint : Path, optional
        What it was made with.
    made : float
        When that file was written, in seconds.
    shape : tuple of int, optional
        Z, Y, X voxels of the whole volume.
    box : (start, stop), optional
        Which of them were predicted; None for all.
    """

    folder: Path
    result: dict[str, Any]
    name: str
    arrays: dict[str, Any] = field(default_factory=dict)
    checkpoint: Path | None = None
    made: float = 0.0
    shape: tuple[int, int, int] | None = None
    box: Box | None = None

    def find_place(self, source: Layer | None, origin: tuple[int, int, int]) -> dict[str, Any]:
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

    @property
    def origin(self) -> tuple[int, int, int]:
        """Voxel of the volume at which it begins."""
        return (0, 0, 0) if self.box is None else self.box[0]


def choose_checkpoint(text: str, *, newest: bool = False) -> Path:
    """Find the checkpoint that a person's path means.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if not text:
        raise CheckpointError("Choose a checkpoint or a run folder.")
    return find_checkpoint(Path(text).expanduser(), newest=newest).resolve()


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
            mode: Any = None if small else "r"
            arrays[key] = np.load(folder / result[key], mmap_mode=mode, allow_pickle=False)
    if "mesh" in result:
        with np.load(folder / result["mesh"], allow_pickle=False) as mesh:
            arrays["vertices"], arrays["faces"] = mesh["vertices"], mesh["faces"]
    return arrays


def run_prediction(
    form: PredictForm,
    volume: LayerVolume | str,
    process: JobProcess,
    tell: Callable[[str, float], None],
    ask: Callable[[str], bool] = lambda _question: True,
    box: Box | None = None,
) -> Prediction:
    """Run a whole prediction and load its result; waits for disk and process.

    ``ask`` is asked before a large layer is copied; no ends it all. With a ``box`` only
    these voxels are predicted.

    Raises
    ------
    SurfsegError
        The prediction's folder is then gone again.
    """
    checkpoint = choose_checkpoint(form.checkpoint, newest=form.newest)
    made = checkpoint.stat().st_mtime
    taken = take_file(volume) if isinstance(volume, str) else volume
    stem = Path(taken.name.rstrip("/")).stem if isinstance(volume, str) else taken.name
    parent = Path(form.folder or ".").expanduser().resolve()
    folder = find_new_run_path(stem, parent)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"The folder {folder} cannot be made: {error.strerror or error}.") from None
    try:
        taken, path = hand_over(
            taken,
            folder / "input.zarr",
            ask=ask,
            progress=partial(tell, "copying the layer"),
            check=process.require_going,
        )
        job = PredictionJob(
            image=path,
            checkpoint=str(checkpoint),
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
        )
        names = {} if isinstance(volume, str) else {path: taken.name}
        result = process.run(write_job(folder, job), tell, names)
        result["warnings"] = [*result.get("warnings", []), *filter(None, [taken.note])]
        result |= {"translate": taken.translate, "units": taken.units}
        arrays = _load(folder, result)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Prediction(folder, result, stem, arrays, checkpoint, made, taken.shape, box)
