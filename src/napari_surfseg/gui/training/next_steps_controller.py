"""What the steps after a run do: they lead from one result to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.label_schemes import name_scheme
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.camera import compute_view_box
from napari_surfseg.gui.layers.metadata import kind_of
from napari_surfseg.gui.predict.predicted_labels import build_predicted_labels, compute_label_values
from napari_surfseg.networks.registry import is_network_name
from napari_surfseg.runs.checkpoint_summary import read_summary
from napari_surfseg.runs.checkpoints import find_checkpoint
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.train_longer import extend_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.live.controller import LiveController
    from napari_surfseg.gui.predict.controller import PredictController
    from napari_surfseg.gui.predict.prediction import Prediction
    from napari_surfseg.gui.run_session.session import Session, Taught
    from napari_surfseg.gui.training.controller import TrainingController
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.runs.checkpoint_summary import CheckpointSummary

__all__ = ["NextStepsController"]


class NextStepsController(QObject):
    """Joins the steps, the training form and the dock "Predict".

    ::

        run ──▶ Predict ──▶ layers
                   └──▶ labels ──▶ form ──▶ next run
        run ──▶ model.start_from ──▶ form ──▶ next run
        Proofread ──▶ labels, start_from ──▶ form ──▶ next run
        run ──▶ the same run, longer

    Parameters
    ----------
    viewer : ViewerModel
        Takes the labels.
    view : TrainingViewProtocol
        Passive.
    session : Session
        Whose run has ended.
    live : LiveController
        Knows which layer shows the run's volume.
    training : TrainingController
        Goes on with a run.
    open_predict : callable
        Opens the dock "Predict", or brings it to the front, and returns what it does.
    jobs : Jobs
        Runs what may wait.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        view: TrainingViewProtocol,
        session: Session,
        live: LiveController,
        training: TrainingController,
        open_predict: Callable[[], PredictController],
        jobs: Jobs,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._steps = view.run.next_steps
        self._session = session
        self._live = live
        self._training = training
        self._open_predict = open_predict
        self._jobs = jobs
        steps = self._steps
        steps.predict_volume_clicked.connect(self.predict_volume)
        steps.predict_view_clicked.connect(self.predict_view)
        steps.use_as_labels_clicked.connect(self.use_as_labels)
        steps.start_from_clicked.connect(self.start_from)
        steps.longer_clicked.connect(self.train_longer)
        session.taught.connect(self._on_taught)
        session.closed.connect(self.close)
        self._on_taught()

    def close(self) -> None:
        """Disconnect from the session."""
        disconnect(self._session.taught, self._on_taught)
        disconnect(self._session.closed, self.close)

    # -- predicting ----------------------------------------------------------------

    def predict_volume(self) -> None:
        """Predict the run's volume as a whole."""
        self._predict()

    def predict_view(self) -> None:
        """Predict what is on the canvas."""
        _image, layer = self._find_volume()
        if layer is None:
            self._say_error(
                DataError("The run's volume is not open in this window; open it to predict a view.")
            )
            return
        box = compute_view_box(self._viewer, layer, self._view.run.box_size())
        if box is None:
            self._say_error(DataError(f"Nothing of the layer {layer.name!r} is on the canvas."))
            return
        self._predict(box=box)

    def _predict(self, **options: Any) -> None:
        run_dir = self._session.run_dir
        image, layer = self._find_volume()
        if run_dir is None or not image:
            return
        self._clear()
        source = SourceChoice.of_file(image) if layer is None else SourceChoice.of_layer(layer)
        self._open_predict().predict_run(run_dir, source, **options)

    def _find_volume(self) -> tuple[str, Layer | None]:
        """Find the run's volume that was looked at last, and the layer that shows it."""
        rows = [row for row in self._session.volumes if "image" in row]
        images = [str(row["image"]) for row in rows if row.get("role") == "train"]
        shown = self._live.layers.shown
        if shown is not None and shown.image in [str(row["image"]) for row in rows]:
            images.insert(0, shown.image)
        images = images or self._session.linked
        for image in images:
            layer = self._live.find_source(image)
            if layer is not None:
                return image, layer
        return (images[0], None) if images else ("", None)

    # -- labels --------------------------------------------------------------------

    def use_as_labels(self) -> None:
        """Make labels of the newest prediction of this run's weights, made now if need be."""
        _image, layer = self._find_volume()
        controller = self._open_predict()
        made = controller.last
        if made is not None and self._is_of_this_run(made) and controller.last_source is layer:
            self._clear()
            self._make_labels(made, layer)
            return
        self._predict(then=self._make_labels)

    def _is_of_this_run(self, prediction: Prediction) -> bool:
        run_dir, path = self._session.run_dir, prediction.checkpoint
        if (
            run_dir is None
            or path is None
            or RunFolder(run_dir).checkpoints.resolve() != path.parent
        ):
            return False
        try:
            return path.stat().st_mtime == prediction.made
        except OSError:
            return False

    def _make_labels(self, prediction: Prediction, source: Layer | None) -> None:
        self._steps.set_message("Making labels of the prediction…")
        strokes = self._find_strokes(prediction)
        meanings = self._view.form().meanings

        def work(_job: Job) -> NDArray[Any]:
            painted = None if strokes is None else np.asarray(strokes.data)
            return compute_label_values(prediction, painted, meanings)

        def done(values: NDArray[Any]) -> None:
            self._on_labels(prediction, values, source, strokes)

        self._jobs.start("labels", work, done=done, failed=self._say_error)

    def _find_strokes(self, prediction: Prediction) -> Layer | None:
        """Find the strokes of the form, if they are of this volume; a person meant what they say.

        Labels of every voxel are no strokes: nothing of the prediction would be left.
        """
        form = self._view.form()
        choice = form.pairs[0].labels
        layer = choice.layer if choice is not None else None
        is_sparse = name_scheme(form.meanings) == "strokes"
        if layer is None or not is_sparse or tuple(layer.data.shape) != prediction.shape:
            return None
        return layer

    def _on_labels(
        self,
        prediction: Prediction,
        values: NDArray[Any],
        source: Layer | None,
        strokes: Layer | None,
    ) -> None:
        labels = build_predicted_labels(prediction, values, source)
        for layer in self._viewer.layers:
            # They would hide what is to be corrected.
            if kind_of(layer) == "prediction":
                layer.visible = False
        self._viewer.add_layer(labels)
        data = self._view.data
        is_open = source is not None and source in self._viewer.layers
        image = SourceChoice.of_layer(source) if is_open else data.pairs()[0].image
        data.choose(0, image=image, labels=SourceChoice.of_layer(labels))
        self._view.show_data_page()
        part = "" if prediction.box is None else ", and what was not predicted 2, not annotated"
        kept = "" if strokes is None else f"; {strokes.name!r} is kept in them"
        self._steps.set_message(
            f"{labels.name!r} is chosen as labels: every sheet is 1, surface{part}{kept}. "
            "Correct it with the brush, then press Start."
        )

    # -- going on ------------------------------------------------------------------

    def train_longer(self, amount: float, unit: str) -> None:
        """Go on with the run for so much longer."""
        snapshot, run_dir = self._session.snapshot, self._session.run_dir
        if snapshot is None or run_dir is None:
            return
        self._clear()
        self._training.go_on(lambda: extend_run(run_dir, snapshot, amount, unit))

    def start_from(self) -> None:
        """Let the next run start from this run's best weights."""
        run_dir = self._session.run_dir
        if run_dir is None:
            return
        self._clear()

        self._read_start(run_dir, self._on_start)

    def _read_start(
        self, source: Path, done: Callable[[tuple[CheckpointSummary, str]], None]
    ) -> None:
        """Read in a thread what a run can start from, and the preset that fits."""

        def work(_job: Job) -> tuple[CheckpointSummary, str]:
            summary = read_summary(find_checkpoint(source))
            run_dir = source if source.is_dir() else source.parent.parent
            try:
                model = RunFolder(run_dir).read_experiment().model
            except SurfsegError:
                return summary, summary.model or "auto"  # a file of its own
            plain = model.model_dump(exclude_none=True, exclude={"preset", "start_from"}) == {}
            return summary, summary.model if plain and summary.model else "auto"

        self._jobs.start("start from", work, done=done, failed=self._say_error)

    def _on_start(self, found: tuple[CheckpointSummary, str]) -> None:
        summary, preset = found
        path = summary.path
        self._view.set_start_from(str(path), preset)
        self._steps.set_message(
            f"The next run starts from {path.name} of {summary.name or path.parent.parent.name}, "
            f"epoch {summary.epoch if summary.epoch is not None else '?'}. Choose more labels or "
            "another volume, then press Start."
        )

    # -- proofread -----------------------------------------------------------------

    def _on_taught(self, _taught: Taught | None = None) -> None:
        """Choose what was taught as labels, and let the next run start from what predicted."""
        taught = self._session.take_lesson()
        if taught is None:
            return
        network = taught.network
        if is_network_name(network):
            self._view.set_start_from(network, "auto")
        elif network:

            def start(found: tuple[CheckpointSummary, str]) -> None:
                self._view.set_start_from(str(found[0].path), found[1])
                self._view.show_data_page()

            self._read_start(Path(network), start)
        image = taught.image
        self._view.data.choose(
            0,
            image=None if image is None else SourceChoice.of_layer(image),
            labels=SourceChoice.of_layer(taught.labels),
        )
        self._view.show_data_page()

    # -- messages ------------------------------------------------------------------

    def _clear(self) -> None:
        self._steps.set_message("")
        self._steps.set_error("")

    def _say_error(self, error: SurfsegError) -> None:
        self._steps.set_message("")
        self._steps.set_error(str(error))
