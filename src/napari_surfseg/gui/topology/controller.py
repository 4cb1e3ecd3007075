"""What the "Topology errors" widget does: a process, its table, and the way to each error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_surfseg.errors import DataError, LabelError, SurfsegError
from napari_surfseg.gui.background.processes import JobProcess, Waiting
from napari_surfseg.gui.background.questions import Asker
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.controls.label_schemes import suggest_meanings
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.label_counts import count_values
from napari_surfseg.gui.layers.layer_volume import LayerVolume, is_volume, take_file, take_layer
from napari_surfseg.gui.layers.layer_watch import LayerWatch, unwrap
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of, part_of
from napari_surfseg.gui.topology.comparison import Comparison, run_comparison
from napari_surfseg.gui.topology.layers import ErrorLayers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.topology.view import TopologyView
    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["TopologyController"]

#: More marks than this say nothing to a person and take the viewer long to draw.
MAX_SHOWN = 2000


class TopologyController(QObject):
    """Joins the view, the viewer and the process.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are and the marks go.
    view : TopologyView
        Passive.
    """

    finished = Signal(object)

    def __init__(
        self, viewer: ViewerModel, view: TopologyView, *, jobs: Jobs | None = None
    ) -> None:
        super().__init__()
        self._viewer = unwrap(viewer)
        self._view = view
        self._jobs = jobs or Jobs()
        self._waiting = Waiting(view, "Topology errors")
        self.asker = Asker(view)
        self._errors: list[TopologyError] = []
        self.shown = ErrorLayers(self._viewer)
        self._adding: Iterator[str] = iter(())
        view.compute_clicked.connect(self.compute)
        view.cancel_clicked.connect(self.cancel)
        view.labels_chosen.connect(self.count_labels)
        view.error_chosen.connect(self.go_to)
        self._watch = LayerWatch(self._viewer, on_list=self._on_layers)
        self._on_layers()

    @property
    def is_busy(self) -> bool:
        """Whether a comparison is under way."""
        return self._waiting.is_busy

    def close(self) -> None:
        """Let go of the viewer; a comparison under way ends."""
        self.cancel()
        self._adding = iter(())
        self._watch.close()

    # -- choosing ------------------------------------------------------------------

    def _on_layers(self) -> None:
        layers = [
            layer for layer in self._viewer.layers if isinstance(layer, Labels) and is_volume(layer)
        ]
        self._view.set_layers(layers)
        # What the plugin made is a prediction; what is left is what a person painted or loaded.
        ours = [layer for layer in layers if kind_of(layer) is not None]
        surfaces = [layer for layer in ours if part_of(layer) != "skeleton"]
        theirs = [layer for layer in layers if layer not in ours]
        for combo, found in ((self._view.prediction, surfaces), (self._view.labels, theirs)):
            if combo.choice() is None and not combo.is_manual and found:
                combo.set_choice(SourceChoice.of_layer(found[-1]))
                if combo is self._view.labels:
                    self.count_labels()

    def _layer(self, choice: SourceChoice | None) -> Layer | None:
        layer = choice.layer if choice is not None else None
        return layer if layer is not None and layer in self._viewer.layers else None

    def _take(self, choice: SourceChoice | None, field: str) -> LayerVolume | str:
        if choice is None:
            said = {"prediction": "a prediction", "labels": "labels"}[field]
            raise DataError(f"Choose {said}: a layer or a file.", field=field)
        if choice.kind == "file":
            return choice.path
        layer = self._layer(choice)
        if layer is None:
            raise DataError(
                f"There is no layer {choice.name!r} any more; choose another one.", field=field
            )
        try:
            return take_layer(layer)
        except DataError as error:
            error.field = field
            raise

    def count_labels(self) -> None:
        """Find the values of the chosen labels, so that each can be given its meaning."""
        choice = self._view.labels.choice()
        self._view.show_error("")
        self._view.set_label_values({}, {})
        if choice is None:
            return
        try:
            volume = self._take(choice, "labels")
        except DataError as error:
            self._view.show_error(str(error), "labels")
            return
        layer = self._layer(choice)
        known = meanings_of(layer)
        self._view.set_counting("Counting label values…")

        def work(job: Job) -> dict[int, int]:
            opened = take_file(volume) if isinstance(volume, str) else volume
            return count_values(opened, job.is_cancelled)

        def done(counts: dict[int, int]) -> None:
            self._view.set_counting("")
            self._view.set_label_values(counts, {**suggest_meanings(sorted(counts)), **known})

        def failed(error: SurfsegError) -> None:
            self._view.set_counting("")
            self._view.show_error(str(error), "labels")

        self._jobs.start("count", work, done=done, failed=failed)

    # -- comparing -----------------------------------------------------------------

    def compute(self) -> None:
        """Run the comparison, in a thread and a process."""
        view = self._view
        view.show_error("")
        meanings = view.meanings()
        try:
            prediction = self._take(view.prediction.choice(), "prediction")
            labels = self._take(view.labels.choice(), "labels")
            if meanings and "foreground" not in meanings.values():
                raise LabelError(
                    "No label value means surface; choose the one that does.", field="labels"
                )
            if not meanings:
                raise LabelError("The label values are not known yet.", field="labels")
        except SurfsegError as error:
            view.show_error(str(error), error.field)
            return
        threshold = view.threshold.value() if view.is_probability.isChecked() else None
        process = JobProcess("napari_surfseg.inference.evaluation_process", "comparison")
        self._waiting.begin(process)

        def work(_job: Job) -> Comparison:
            def ask(question: str) -> bool:
                return self.asker.ask(question, lambda: process.is_cancelled)

            return run_comparison(
                prediction, labels, meanings, threshold, process, self._waiting.tell, ask
            )

        self._jobs.start("compare", work, done=self._on_done, failed=self._on_failed)

    def cancel(self) -> None:
        """End the comparison."""
        self._waiting.cancel()

    def _on_done(self, found: Comparison) -> None:
        self._waiting.end()
        self._errors = found.errors[:MAX_SHOWN]
        view = self._view
        source = self._layer(view.labels.choice()) or self._layer(view.prediction.choice())
        self._adding = self.shown.show(self._errors, source, found.spacing)
        self._add_next()
        total = len(found.errors)
        said = f"{total:,} {'error' if total == 1 else 'errors'}, the largest first."
        if total == 0:
            said = "No topology error: every feature has its partner."
        elif total > MAX_SHOWN:
            said = f"{total:,} errors; the {MAX_SHOWN:,} largest are shown."
        view.set_result(found.scores, self._errors, " ".join([said, *found.warnings]))
        self.finished.emit(found)

    def _add_next(self) -> None:
        """Add one layer of marks, and the next when the window has had its turn."""
        if next(self._adding, None) is not None:
            QTimer.singleShot(0, self._add_next)

    def _on_failed(self, error: SurfsegError) -> None:
        self._waiting.end()
        self._view.set_state("Nothing was compared.")
        self._view.show_error(str(error), error.field)

    # -- looking -------------------------------------------------------------------

    def go_to(self, index: int) -> None:
        """Fly to an error of the list."""
        if index < len(self._errors):
            self.shown.go_to(index, self._errors[index])
