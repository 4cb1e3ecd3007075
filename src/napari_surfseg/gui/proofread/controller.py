"""What the dock "Proofread" does: it compares, lists the errors and flies to each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from napari.layers import Labels

from napari_surfseg.errors import DataError, LabelError, SurfsegError
from napari_surfseg.gui.background.process_job import JobView
from napari_surfseg.gui.controls.label_schemes import suggest_meanings
from napari_surfseg.gui.layers.alignment import describe_misplaced
from napari_surfseg.gui.layers.chosen_volume import find_chosen_layer, take_chosen
from napari_surfseg.gui.layers.job_controller import JobController
from napari_surfseg.gui.layers.label_counts import count_values
from napari_surfseg.gui.layers.layer_volume import LayerVolume, is_volume, take_file
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of, part_of
from napari_surfseg.gui.proofread.comparison import Comparison, run_comparison
from napari_surfseg.gui.proofread.layers import ErrorLayers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.controls.source_choice import SourceChoice
    from napari_surfseg.metrics.error_table import TopologyError

__all__ = ["ProofreadController", "ProofreadViewProtocol"]

#: More marks than this help nobody, and napari draws them slowly.
MAX_SHOWN = 2000


class ProofreadViewProtocol(JobView, Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def compute_clicked(self) -> Any:
        """Signal: a person wants a comparison."""

    @property
    def cancel_clicked(self) -> Any:
        """Signal: a person wants to end it."""

    @property
    def labels_chosen(self) -> Any:
        """Signal: a person chose other labels."""

    @property
    def error_chosen(self) -> Any:
        """Signal: a person wants to see an error; carries its index in the whole list."""

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Offer these layers on both sides."""

    def source(self, field: str) -> SourceChoice | None:
        """Return what is chosen as ``"prediction"`` or as ``"labels"``."""

    def suggest(self, field: str, layer: Layer) -> bool:
        """Choose a layer, unless something is chosen or a person has chosen; return whether."""

    def threshold_value(self) -> float | None:
        """Return the probability above which a voxel is surface; None if there are only labels."""

    def set_label_values(self, counts: dict[int, int], meanings: dict[int, str]) -> None:
        """Show the values that occur in the labels, how often, and what they mean."""

    def meanings(self) -> dict[int, str]:
        """Return the meaning of each label value, as shown."""

    def set_counting(self, text: str) -> None:
        """Say that label values are being counted; empty hides the line."""

    def set_result(
        self, scores: dict[str, float], errors: Sequence[TopologyError], state: str
    ) -> None:
        """Show what was found."""

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside its field, ``"prediction"`` or ``"labels"``, or below them."""


class ProofreadController(JobController):
    """Joins the view, the viewer and the process; it needs no window.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are and the marks go.
    view : ProofreadViewProtocol
        Passive.
    jobs : Jobs
        Starts threads; replaced in tests.
    """

    def __init__(
        self, viewer: ViewerModel, view: ProofreadViewProtocol, *, jobs: Jobs | None = None
    ) -> None:
        super().__init__(
            viewer,
            view,
            jobs,
            module="napari_surfseg.inference.evaluation_process",
            what="comparison",
            title="Proofread",
        )
        self._view = view
        self._errors: list[TopologyError] = []
        self._source: Layer | None = None
        self.shown = ErrorLayers(self._viewer)
        view.compute_clicked.connect(self.compute)
        view.cancel_clicked.connect(self.cancel)
        view.labels_chosen.connect(self.count_labels)
        view.error_chosen.connect(self.go_to)
        self._on_layers()

    def close(self) -> None:
        """Let go of the viewer; a comparison under way ends."""
        self.shown.adder.stop()
        super().close()

    # -- choosing ------------------------------------------------------------------

    def _on_layers(self) -> None:
        layers = [
            layer for layer in self._viewer.layers if isinstance(layer, Labels) and is_volume(layer)
        ]
        self._view.set_layers(layers)
        # What the plugin made is a prediction; what is left is what a person painted or loaded.
        made = [layer for layer in layers if kind_of(layer) is not None]
        surfaces = [layer for layer in made if part_of(layer) != "skeleton"]
        others = [layer for layer in layers if layer not in made]
        if surfaces:
            self._view.suggest("prediction", surfaces[-1])
        if others and self._view.suggest("labels", others[-1]):
            self.count_labels()

    def _find_layer(self, field: str) -> Layer | None:
        return find_chosen_layer(self._view.source(field), self._viewer)

    def _take(self, field: str) -> LayerVolume | str:
        try:
            return take_chosen(self._view.source(field), self._viewer, field)
        except DataError as error:
            error.field = field
            raise

    def count_labels(self) -> None:
        """Find the values of the chosen labels, so that each can be given its meaning."""
        self._view.show_error("")
        self._view.set_label_values({}, {})
        if self._view.source("labels") is None:
            return
        try:
            volume = self._take("labels")
        except DataError as error:
            self._view.show_error(str(error), "labels")
            return
        known = meanings_of(self._find_layer("labels"))
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
        """Compare what is chosen, in a thread and a process."""
        view = self._view
        view.show_error("")
        meanings = view.meanings()
        try:
            volumes = {field: self._take(field) for field in ("prediction", "labels")}
            if not meanings:
                raise LabelError("The label values are not known yet.", field="labels")
            if "foreground" not in meanings.values():
                raise LabelError(
                    "No label value means surface; choose the one that does.", field="labels"
                )
        except SurfsegError as error:
            view.show_error(str(error), error.field)
            return
        threshold = view.threshold_value()
        prediction, labels = self._find_layer("prediction"), self._find_layer("labels")
        note = ""
        if prediction and labels:
            note = describe_misplaced(prediction, labels, "prediction")
        # Another layer may be chosen before this is done.
        self._source = labels or prediction

        def work(process: JobProcess) -> Comparison:
            found = run_comparison(volumes, meanings, threshold, process)
            return replace(found, warnings=[*found.warnings, *filter(None, [note])])

        self._job.start(work, done=self.show, failed=self._on_failed)

    def show(self, found: Comparison) -> None:
        """Show what a comparison found: scores, the list, and marks in the viewer."""
        self._job.end()
        self._errors = found.errors[:MAX_SHOWN]
        self.shown.show(self._errors, self._source, found.spacing)
        total = len(found.errors)
        text = f"{total:,} {'error' if total == 1 else 'errors'}, the largest first."
        if total == 0:
            text = "No topology error: every feature has its partner."
        elif total > MAX_SHOWN:
            text = f"{total:,} errors; the {MAX_SHOWN:,} largest are shown."
        self._view.set_result(found.scores, self._errors, " ".join([text, *found.warnings]))
        self.finished.emit(found)

    def _on_failed(self, error: SurfsegError) -> None:
        self._view.set_state("Nothing was compared.")
        self._view.show_error(str(error), error.field)

    # -- looking -------------------------------------------------------------------

    def go_to(self, index: int) -> None:
        """Fly to an error of the list."""
        if index < len(self._errors):
            self.shown.go_to(index, self._errors[index])
