"""What the "Predict surfaces" widget does: a process, its progress, and its layers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Surface
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.errors import CancelledError, CheckpointError, DataError, RunError, SurfsegError
from napari_surfseg.events import CheckpointSaved, PostprocessTuned
from napari_surfseg.gui.curve_data import format_value
from napari_surfseg.gui.dock_layout import DockPlacer
from napari_surfseg.gui.form import SourceChoice
from napari_surfseg.gui.jobs import Jobs
from napari_surfseg.gui.layer_copies import hand_over
from napari_surfseg.gui.layers import LayerWatch, unwrap
from napari_surfseg.gui.live import (
    build_probability_colormap,
    build_skeleton_colormap,
    compute_placement,
)
from napari_surfseg.gui.predict_view import PredictForm, PredictView
from napari_surfseg.gui.processes import JobProcess, Waiting
from napari_surfseg.gui.questions import Asker
from napari_surfseg.gui.session import get_session
from napari_surfseg.gui.sources import LayerVolume, take_file, take_layer
from napari_surfseg.inference.job import PredictionJob, write_job
from napari_surfseg.runs.folder import RunFolder, find_new_run_path
from napari_surfseg.runs.text import format_percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.viewer import Viewer

    from napari_surfseg.gui.jobs import Job
    from napari_surfseg.gui.session import Session
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = [
    "PredictController",
    "PredictWidget",
    "Prediction",
    "build_layers",
    "describe_checkpoint",
    "find_checkpoint",
]

#: Above this, results stay on disk and are read as they are looked at.
IN_MEMORY_BYTES = 512_000_000


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
    """

    folder: Path
    result: dict[str, Any]
    name: str
    arrays: dict[str, Any]


def find_checkpoint(text: str) -> Path:
    """Find the checkpoint a path means: itself, or the best one of a run folder.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if not text:
        raise CheckpointError("Choose a checkpoint or a run folder.")
    path = Path(text).expanduser()
    if path.is_file():
        return path.resolve()
    folder = RunFolder(path)
    for found in (folder.best_checkpoint, folder.last_checkpoint):
        if found.is_file():
            return found.resolve()
    raise CheckpointError(f"There is no checkpoint at {path}; choose a best.pt or a run folder.")


def describe_checkpoint(path: Path) -> str:
    """Say what a checkpoint is, from the summary beside it; no torch is needed."""
    try:
        summary = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return path.name
    score = summary.get("metrics", {}).get("surface_dice")
    said = [
        f"{path.name} of {summary.get('name', '?')}",
        f"network {summary.get('model', '?')}",
        f"epoch {summary.get('epoch', '?')}",
    ]
    if isinstance(score, int | float):
        said.append(f"surface Dice {format_value(float(score))}")
    tuned = summary.get("postprocess") or {}
    clean_up = [
        name
        for name, key in (
            ("smoothing", "smoothing"),
            ("hysteresis", "low_threshold"),
            ("plugged holes", "closing_radius"),
            ("filled cavities", "fill_holes"),
        )
        if tuned.get(key)
    ]
    if clean_up:
        said.append(f"tuned with {', '.join(clean_up)}")
    return ", ".join(said) + "."


@dataclass(frozen=True)
class CheckpointNote:
    """What the widget shows of a checkpoint.

    Attributes
    ----------
    text : str
        A sentence.
    threshold, min_voxels : optional
        What it was tuned to on the validation data.
    """

    text: str
    threshold: float | None = None
    min_voxels: int | None = None


def read_checkpoint_note(path: Path) -> CheckpointNote:
    """Read what there is to show of a checkpoint."""
    try:
        summary = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tuned = summary.get("postprocess") or {}
        threshold = float(tuned.get("threshold", summary["threshold"]))
        min_voxels = int(tuned.get("min_voxels", 0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return CheckpointNote(describe_checkpoint(path))
    return CheckpointNote(describe_checkpoint(path), threshold, min_voxels)


def build_layers(prediction: Prediction, source: Layer | None) -> list[Layer]:
    """Turn a prediction into layers: probability, labels, skeleton and mesh.

    Parameters
    ----------
    prediction : Prediction
        Loaded.
    source : Layer or None
        The layer it was made from; the new ones lie exactly over it.
    """
    place = compute_placement(source, (0, 0, 0))
    if source is None:
        place = {"scale": prediction.result.get("spacing", (1, 1, 1))}
    name = prediction.name
    meta = {"surfseg": "prediction", "folder": str(prediction.folder)}
    arrays = prediction.arrays
    layers: list[Layer] = [
        Image(
            arrays["probabilities"],
            name=f"{name} probability",
            contrast_limits=(0, 255),
            colormap=build_probability_colormap(),
            blending="translucent",
            rendering="mip",
            metadata=dict(meta),
            **place,
        ),
        Labels(arrays["surface"], name=f"{name} surface", metadata=dict(meta), **place),
    ]
    if "skeleton" in arrays:
        layers.append(
            Labels(
                arrays["skeleton"],
                name=f"{name} skeleton",
                colormap=build_skeleton_colormap(),
                visible=False,
                metadata=dict(meta),
                **place,
            )
        )
    if "vertices" in arrays:
        layers.append(
            Surface(
                (arrays["vertices"], arrays["faces"]),
                name=f"{name} mesh",
                shading="smooth",
                opacity=0.85,
                colormap="copper",
                visible=False,
                metadata=dict(meta),
                **place,
            )
        )
    return layers


def _load(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Load the arrays of a result; large ones stay on disk."""
    import zarr

    array: Any = zarr.open_group(str(folder / result["probabilities"]), mode="r")["0"]
    small = array.nbytes <= IN_MEMORY_BYTES
    arrays: dict[str, Any] = {"probabilities": array[:] if small else array}
    for key in ("surface", "skeleton"):
        if key in result:
            mode: Any = None if small else "r"
            arrays[key] = np.load(folder / result[key], mmap_mode=mode, allow_pickle=False)
    if "mesh" in result:
        with np.load(folder / result["mesh"], allow_pickle=False) as mesh:
            arrays["vertices"], arrays["faces"] = mesh["vertices"], mesh["faces"]
    return arrays


class PredictController(QObject):
    """Joins the view, the viewer and the process.

    Parameters
    ----------
    viewer : ViewerModel
        Takes the results.
    view : PredictView
        Passive.
    session : Session
        Knows the current run.
    """

    finished = Signal(object)

    def __init__(
        self, viewer: ViewerModel, view: PredictView, session: Session, *, jobs: Jobs | None = None
    ) -> None:
        super().__init__()
        self._viewer = unwrap(viewer)
        self._view = view
        self._source: SourceChoice | None = None
        self._session = session
        self._jobs = jobs or Jobs()
        self._waiting = Waiting(view, "Predicting surfaces")
        self.asker = Asker(view)
        view.set_folder(Path.home() / "surfseg_runs" / "predictions")
        view.predict_clicked.connect(self.predict)
        view.cancel_clicked.connect(self.cancel)
        view.checkpoint_changed.connect(self._on_checkpoint)
        view.use_current_clicked.connect(self.use_current)
        session.attached.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        self._watch = LayerWatch(self._viewer, on_list=self._on_layers)
        self._on_layers()
        if session.run_dir is not None:
            self.use_current()

    @property
    def is_busy(self) -> bool:
        """Whether a prediction is under way."""
        return self._waiting.is_busy

    def close(self) -> None:
        """Let go of the viewer; a prediction under way ends."""
        self.cancel()
        self._watch.close()

    def use_current(self) -> None:
        """Take the run that the session shows."""
        if self._session.run_dir is None:
            self._view.set_error("There is no current run; start or attach one, or choose a file.")
            return
        self._view.set_error("")
        self._view.set_checkpoint(str(self._session.run_dir))
        self._on_checkpoint(str(self._session.run_dir))

    def _on_attached(self, run_dir: Path) -> None:
        if not self._view.form().checkpoint:
            self._view.set_checkpoint(str(run_dir))

    def _on_checkpoint(self, text: str) -> None:
        self._view.set_error("")
        self._look_at(text)

    def _look_at(self, text: str) -> None:
        def work(_job: Job) -> CheckpointNote:
            return read_checkpoint_note(find_checkpoint(text))

        self._jobs.start(
            "checkpoint",
            work,
            done=self._on_note,
            failed=lambda error: self._on_note(CheckpointNote(str(error))),
        )

    def _on_note(self, found: CheckpointNote) -> None:
        self._view.set_summary(found.text)
        self._view.set_tuned(found.threshold, found.min_voxels)

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        """Look again at the checkpoint of the run that trains, when it was written anew."""
        text = self._view.form().checkpoint
        is_new = any(
            isinstance(event, PostprocessTuned)
            or (isinstance(event, CheckpointSaved) and event.path.endswith("best.pt"))
            for event in snapshot.new_events
        )
        if is_new and text == str(self._session.run_dir):
            self._look_at(text)

    def _on_layers(self) -> None:
        layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and layer.ndim == 3 and "surfseg" not in layer.metadata
        ]
        source = self._view.source
        source.set_layers(layers)
        if source.lost:
            self._view.set_error(_describe_lost(source.lost))
        elif source.choice() is None and not source.is_manual and layers:
            source.set_choice(SourceChoice.of_layer(layers[0]))

    # -- predicting ----------------------------------------------------------------

    def predict(self) -> None:
        """Write the job and run it, in a thread and a process."""
        form = self._view.form()
        self._view.set_error("")
        try:
            volume = self._take(form)
        except SurfsegError as error:
            self._view.set_error(str(error))
            return
        self._source = form.source
        process = JobProcess("napari_surfseg.inference.job", "prediction")
        self._waiting.begin(process)

        def work(_job: Job) -> Prediction:
            def ask(question: str) -> bool:
                return self.asker.ask(question, lambda: process.is_cancelled)

            return run_prediction(form, volume, process, self._waiting.tell, ask)

        self._jobs.start("predict", work, done=self._on_done, failed=self._on_failed)

    def _take(self, form: PredictForm) -> LayerVolume | str:
        if form.source is None:
            lost = self._view.source.lost
            raise DataError(_describe_lost(lost) if lost else "Choose a volume.")
        if form.source.kind == "file":
            return form.source.path
        layer = form.source.layer
        if layer is None or layer not in self._viewer.layers:
            raise DataError(_describe_lost(form.source.name))
        return take_layer(layer)

    def cancel(self) -> None:
        """End the prediction."""
        self._waiting.cancel()

    def _on_done(self, prediction: Prediction) -> None:
        self._waiting.end()
        source = self._source.layer if self._source is not None else None
        for layer in build_layers(prediction, source):
            self._viewer.add_layer(layer)
        result = prediction.result
        count = result["num_sheets"]
        said = (
            f"{format_percent(result['surface_fraction'])} surface above "
            f"{result['threshold']:.2f}, {count} connected {'sheet' if count == 1 else 'sheets'}. "
            f"The files are in {prediction.folder}."
        )
        self._view.set_state(" ".join([said, *result.get("warnings", [])]))
        self.finished.emit(prediction)

    def _on_failed(self, error: SurfsegError) -> None:
        self._waiting.end()
        if isinstance(error, CancelledError):
            self._view.set_state("The prediction was cancelled; nothing of it is left.")
            return
        self._view.set_state("No prediction was made.")
        self._view.set_error(str(error))


def _describe_lost(name: str) -> str:
    return f"The layer {name!r} is gone from the viewer; choose another volume."


def run_prediction(
    form: PredictForm,
    volume: LayerVolume | str,
    process: JobProcess,
    tell: Callable[[str, float], None],
    ask: Callable[[str], bool] = lambda _question: True,
) -> Prediction:
    """Run a whole prediction and load its result; waits for disk and process.

    ``ask`` is asked before a large layer is copied; no ends it all.

    Raises
    ------
    SurfsegError
        The prediction's folder is then gone again.
    """
    checkpoint = find_checkpoint(form.checkpoint)
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
        )
        result = process.run(write_job(folder, job), tell)
        result["warnings"] = [*result.get("warnings", []), *filter(None, [taken.note])]
        arrays = _load(folder, result)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Prediction(folder, result, stem, arrays)


class PredictWidget(QWidget):
    """The dock widget, as napari makes it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where volumes come from and results go.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("predict_surfaces_widget")
        DockPlacer(self, "Predict")
        self.session = get_session(napari_viewer)
        self.view = PredictView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = PredictController(napari_viewer, self.view, self.session)
        self.session.closed.connect(self.controller.close)
