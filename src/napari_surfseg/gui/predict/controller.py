"""What the dock "Predict surfaces" does: it runs a prediction and adds its layers to the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.events import CheckpointSaved, PostprocessTuned
from napari_surfseg.gui.background.process_job import JobView, ProcessJob
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.layers.camera import compute_view_box
from napari_surfseg.gui.layers.chosen_volume import describe_lost, take_chosen
from napari_surfseg.gui.layers.layer_adder import LayerAdder
from napari_surfseg.gui.layers.layer_volume import is_volume
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
from napari_surfseg.networks.registry import is_network_name, list_networks
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Box
    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.controls.source_choice import SourceChoice
    from napari_surfseg.gui.predict.prediction import PredictForm
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.runs.follow import RunSnapshot

    Then = Callable[[Prediction, Layer | None], None]

__all__ = ["PredictController", "PredictViewProtocol"]

#: What the viewer shows is predicted first: so many voxels around its middle.
FIRST_VOXELS = (64, 512, 512)

#: Between two layers of a result, so that they are not felt as one long wait.
NEXT_LAYER_MILLISECONDS = 50


class PredictViewProtocol(JobView, Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def predict_clicked(self) -> Any:
        """Signal: a person wants a prediction."""

    @property
    def cancel_clicked(self) -> Any:
        """Signal: a person wants to end it."""

    @property
    def checkpoint_changed(self) -> Any:
        """Signal: a person named another checkpoint; carries the path."""

    @property
    def use_current_clicked(self) -> Any:
        """Signal: a person wants the run that the session shows."""

    @property
    def weights_changed(self) -> Any:
        """Signal: a person chose the best or the newest weights."""

    @property
    def proofread_clicked(self) -> Any:
        """Signal: a person wants to proofread the prediction that was made last."""

    def form(self) -> PredictForm:
        """Read everything."""

    def set_checkpoint(self, path: str) -> None:
        """Show which checkpoint is used."""

    def set_weights(self, titles: dict[str, str]) -> None:
        """Offer a run's ``"best"`` and ``"newest"`` weights, with what is known of each."""

    def set_summary(self, text: str) -> None:
        """Say what the checkpoint is."""

    def set_tuned(self, threshold: float | None, min_voxels: int | None) -> None:
        """Show what the checkpoint was tuned to; None for what is not known."""

    def set_folder(self, folder: Path) -> None:
        """Show where predictions go."""

    def set_device(self, device: str) -> None:
        """Show where the network runs."""

    def set_volumes(self, layers: Sequence[Layer]) -> None:
        """Offer these layers as the volume."""

    def lost_volume(self) -> str:
        """Return the name of the volume that a person chose and that is gone; else ``""``."""

    def suggest_volume(self, layer: Layer) -> None:
        """Choose a layer, unless something is chosen or a person has chosen."""

    def choose_volume(self, choice: SourceChoice) -> None:
        """Choose a volume as if a person had."""

    def set_can_proofread(self, can: bool) -> None:
        """Offer to proofread the prediction that was made last, or not."""

    def set_error(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""


class PredictController(QObject):
    """Joins the view, the viewer, the current run and the process; it needs no window.

    Parameters
    ----------
    viewer : ViewerModel
        Takes the results.
    view : PredictViewProtocol
        Passive.
    session : Session
        Knows the current run.
    jobs : Jobs
        Starts threads; replaced in tests.
    """

    finished = Signal(object)
    """Carries the prediction, once its layers are there."""

    def __init__(
        self,
        viewer: ViewerModel,
        view: PredictViewProtocol,
        session: Session,
        *,
        jobs: Jobs | None = None,
    ) -> None:
        super().__init__()
        self._viewer = unwrap(viewer)
        self._view = view
        self._session = session
        self._jobs = jobs or Jobs()
        self._note = WeightsNote()
        #: Whether nobody chose a network yet: the first run takes the place of the package's.
        self._is_default = True
        #: The newest prediction, and the layer that it was made from.
        self.last: Prediction | None = None
        self.last_source: Layer | None = None
        self.adder = LayerAdder(self._viewer, milliseconds=NEXT_LAYER_MILLISECONDS)
        #: Opens the dock "Proofread" for the prediction in a folder; needs a window.
        self.open_proofread: Callable[[str], object] = lambda _folder: None
        self._job = ProcessJob(
            view,
            self._jobs,
            module="napari_surfseg.inference.prediction_process",
            what="prediction",
            title="Predicting surfaces",
        )
        preferred = preferences.read_preferences()
        view.set_folder(preferred.runs_path / "predictions")
        view.set_device(preferred.device)
        view.predict_clicked.connect(self.predict)
        view.cancel_clicked.connect(self.cancel)
        view.checkpoint_changed.connect(self._on_checkpoint)
        view.weights_changed.connect(self._show_note)
        view.use_current_clicked.connect(self.use_current)
        view.proofread_clicked.connect(self.proofread)
        session.attached.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        self._watch = LayerWatch(self._viewer, on_list=self._on_layers)
        self._on_layers()
        if session.run_dir is not None:
            self.use_current()
        else:
            self._use_shipped()

    @property
    def is_busy(self) -> bool:
        """Whether a prediction is under way."""
        return self._job.is_busy

    def close(self) -> None:
        """Let go of the viewer; a prediction under way ends."""
        self.cancel()
        self.adder.stop()
        self._watch.close()

    # -- choosing ------------------------------------------------------------------

    def use_current(self) -> None:
        """Take the run that the session shows."""
        if self._session.run_dir is None:
            self._view.set_error("There is no current run; start or attach one, or choose a file.")
            return
        self._view.set_error("")
        self._view.set_checkpoint(str(self._session.run_dir))
        self._on_checkpoint(str(self._session.run_dir))

    def _use_shipped(self) -> None:
        """Take the network of the package: it needs no run."""
        known = list_networks()
        if known and known[0].is_at_hand and not self._view.form().checkpoint:
            self._view.set_checkpoint(known[0].name)
            self._read_note(known[0].name)

    def _on_attached(self, run_dir: Path) -> None:
        if not self._view.form().checkpoint or self._is_default:
            self._is_default = False
            self._view.set_checkpoint(str(run_dir))
            self._read_note(str(run_dir))

    def _on_checkpoint(self, text: str) -> None:
        self._is_default = self._is_default and is_network_name(text)
        self._view.set_error("")
        self._read_note(text)

    def _read_note(self, text: str) -> None:
        """Read what there is to show of a checkpoint or a run; in a thread."""

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
        """Read the checkpoints of the chosen run again, when it has written one."""
        text = self._view.form().checkpoint
        is_new = any(
            isinstance(event, PostprocessTuned | CheckpointSaved) for event in snapshot.new_events
        )
        if is_new and text == str(self._session.run_dir):
            self._read_note(text)

    def _on_layers(self) -> None:
        layers = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and is_volume(layer) and kind_of(layer) is None
        ]
        self._view.set_volumes(layers)
        lost = self._view.lost_volume()
        if lost:
            self._view.set_error(describe_lost(lost, "volume"))
        elif layers:
            self._view.suggest_volume(layers[0])

    # -- predicting ----------------------------------------------------------------

    def predict(self) -> None:
        """Predict as the view says, in a thread and a process."""
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
            Called with the prediction and the volume's layer, once its layers are there.
        """
        if self.is_busy:
            self._view.set_error("A prediction is under way; wait for its end or cancel it.")
            return
        if self._view.form().checkpoint != str(run_dir):
            self._is_default = False
            self._view.set_checkpoint(str(run_dir))
            self._view.set_weights({})
        self._read_note(str(run_dir))
        self._view.choose_volume(source)
        self._start(box, then)

    def _start(self, box: Box | None, then: Then | None) -> None:
        form = self._view.form()
        self._view.set_error("")
        self._view.set_can_proofread(False)
        lost = self._view.lost_volume()
        try:
            if lost:
                raise SurfsegError(describe_lost(lost, "volume"))
            volume = take_chosen(form.source, self._viewer)
        except SurfsegError as error:
            self._view.set_error(str(error))
            return
        source = form.source.layer if form.source is not None else None

        first = None if source is None else compute_view_box(self._viewer, source, FIRST_VOXELS)

        def work(process: JobProcess) -> Prediction:
            return run_prediction(form, volume, process, box, first=first)

        def add_layers(prediction: Prediction) -> None:
            self._view.set_state("Adding the layers…", 1.0)
            self.adder.start(
                build_layers(prediction, source), lambda: self._finish(prediction, source, then)
            )

        self._job.start(work, done=add_layers, failed=self._on_failed)

    def proofread(self) -> None:
        """Open the dock in which the newest prediction is proofread."""
        if self.last is not None:
            self.open_proofread(str(self.last.folder))

    def cancel(self) -> None:
        """End the prediction."""
        self._job.cancel()

    def _finish(self, prediction: Prediction, source: Layer | None, then: Then | None) -> None:
        self._job.end()
        result = prediction.result
        count = result["num_sheets"]
        text = (
            f"{format_percent(result['surface_fraction'])} surface above "
            f"{result['threshold']:.2f}, {count} connected {'sheet' if count == 1 else 'sheets'}. "
            f"The files are in {prediction.folder}."
        )
        self._view.set_state(" ".join([text, *result.get("warnings", [])]))
        self._view.set_can_proofread(True)
        self.last, self.last_source = prediction, source
        self.finished.emit(prediction)
        if then is not None:
            then(prediction, source)

    def _on_failed(self, error: SurfsegError) -> None:
        if isinstance(error, CancelledError):
            said = str(error)
            is_kept = "finished blocks" in said
            self._view.set_state(
                said if is_kept else "The prediction was cancelled; nothing of it is left."
            )
            return
        self._view.set_state("No prediction was made.")
        self._view.set_error(str(error))
