"""What the "Predict surfaces" widget does: a process, its progress, and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import CancelledError, DataError, SurfsegError
from napari_surfseg.events import CheckpointSaved, PostprocessTuned
from napari_surfseg.gui.background.processes import JobProcess, Waiting
from napari_surfseg.gui.background.questions import Asker
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.layer_volume import LayerVolume, is_volume, take_layer
from napari_surfseg.gui.layers.layer_watch import LayerWatch, unwrap
from napari_surfseg.gui.layers.metadata import kind_of
from napari_surfseg.gui.predict.checkpoint_note import (
    CheckpointNote,
    WeightsNote,
    read_weights_note,
)
from napari_surfseg.gui.predict.layers import build_layers
from napari_surfseg.gui.predict.prediction import Prediction, run_prediction
from napari_surfseg.gui.window import preferences
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Box
    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.predict.view import PredictForm, PredictView
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.runs.follow import RunSnapshot

    Then = Callable[[Prediction, Layer | None], None]

__all__ = ["PredictController"]

#: Between two layers of a result, so that they are not felt as one long wait.
NEXT_LAYER_MILLISECONDS = 50


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
        self._then: Then | None = None
        self._note = WeightsNote()
        self._adding: tuple[Iterator[Layer], Prediction, Layer | None] | None = None
        self._next = Debounce(self, NEXT_LAYER_MILLISECONDS, self._add_next)
        #: The newest prediction, and the layer that it was made from.
        self.last: Prediction | None = None
        self.last_source: Layer | None = None
        self._session = session
        self._jobs = jobs or Jobs()
        self._waiting = Waiting(view, "Predicting surfaces")
        self.asker = Asker(view)
        preferred = preferences.read_preferences()
        view.set_folder(preferred.runs_path / "predictions")
        view.set_device(preferred.device)
        view.predict_clicked.connect(self.predict)
        view.cancel_clicked.connect(self.cancel)
        view.checkpoint_changed.connect(self._on_checkpoint)
        view.weights_changed.connect(self._show_note)
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
        self._next.stop()
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
            self._look_at(str(run_dir))

    def _on_checkpoint(self, text: str) -> None:
        self._view.set_error("")
        self._look_at(text)

    def _look_at(self, text: str) -> None:
        def work(_job: Job) -> WeightsNote:
            return read_weights_note(text)

        def fail(error: SurfsegError) -> None:
            self._on_note(WeightsNote({"best": CheckpointNote(str(error))}))

        self._jobs.start("checkpoint", work, done=self._on_note, failed=fail)

    def _on_note(self, found: WeightsNote) -> None:
        self._note = found
        titles = {key: note.title for key, note in found.notes.items() if note.title}
        self._view.set_weights(titles)
        self._show_note()

    def _show_note(self) -> None:
        key = "newest" if self._view.form().newest else "best"
        note = self._note.notes.get(key) or next(iter(self._note.notes.values()), None)
        if note is not None:
            self._view.set_summary(" ".join(filter(None, [note.text, self._note.remark])))
            self._view.set_tuned(note.threshold, note.min_voxels)

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        """Look again at the checkpoints of the run that trains, when one was written anew."""
        text = self._view.form().checkpoint
        is_new = any(
            isinstance(event, PostprocessTuned | CheckpointSaved) for event in snapshot.new_events
        )
        if is_new and text == str(self._session.run_dir):
            self._look_at(text)

    def _on_layers(self) -> None:
        layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and is_volume(layer) and kind_of(layer) is None
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
        self._start(None, None)

    def predict_run(
        self,
        run_dir: Path,
        source: SourceChoice,
        *,
        box: Box | None = None,
        then: Then | None = None,
    ) -> None:
        """Predict with a run's network, as if a person had chosen all that.

        Parameters
        ----------
        run_dir : Path
            Of which the best weights are taken, unless the newest are chosen here already.
        source : SourceChoice
            The volume.
        box : (start, stop), optional
            Voxels of it, Z, Y, X; None for all.
        then : callable, optional
            Called with the prediction and the volume's layer, once it is there.
        """
        if self.is_busy:
            self._view.set_error("A prediction is under way; wait for its end or cancel it.")
            return
        if self._view.form().checkpoint != str(run_dir):
            self._view.set_checkpoint(str(run_dir))
            self._view.set_weights({})
        self._look_at(str(run_dir))
        self._view.source.set_choice(source)
        self._view.source.confirm()
        self._start(box, then)

    def _start(self, box: Box | None, then: Then | None) -> None:
        form = self._view.form()
        self._view.set_error("")
        try:
            volume = self._take(form)
        except SurfsegError as error:
            self._view.set_error(str(error))
            return
        self._source, self._then = form.source, then
        process = JobProcess("napari_surfseg.inference.prediction_process", "prediction")
        self._waiting.begin(process)

        def work(_job: Job) -> Prediction:
            def ask(question: str) -> bool:
                return self.asker.ask(question, lambda: process.is_cancelled)

            return run_prediction(form, volume, process, self._waiting.tell, ask, box)

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
        source = self._source.layer if self._source is not None else None
        self._view.set_state("Adding the layers…", 1.0)
        self._adding = build_layers(prediction, source), prediction, source
        self._next.start()

    def _add_next(self) -> None:
        """Add one layer, and leave the window its turn before the next one."""
        if self._adding is None:
            return
        layers, prediction, source = self._adding
        layer = next(layers, None)
        if layer is not None:
            self._viewer.add_layer(layer)
            self._next.start()
            return
        self._adding = None
        self._waiting.end()
        self._finish(prediction, source)

    def _finish(self, prediction: Prediction, source: Layer | None) -> None:
        result = prediction.result
        count = result["num_sheets"]
        said = (
            f"{format_percent(result['surface_fraction'])} surface above "
            f"{result['threshold']:.2f}, {count} connected {'sheet' if count == 1 else 'sheets'}. "
            f"The files are in {prediction.folder}."
        )
        self._view.set_state(" ".join([said, *result.get("warnings", [])]))
        self.last, self.last_source = prediction, source
        self.finished.emit(prediction)
        then, self._then = self._then, None
        if then is not None:
            then(prediction, source)

    def _on_failed(self, error: SurfsegError) -> None:
        self._waiting.end()
        self._then = None
        if isinstance(error, CancelledError):
            self._view.set_state("The prediction was cancelled; nothing of it is left.")
            return
        self._view.set_state("No prediction was made.")
        self._view.set_error(str(error))


def _describe_lost(name: str) -> str:
    return f"The layer {name!r} is gone from the viewer; choose another volume."
