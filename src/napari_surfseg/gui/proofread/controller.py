"""What the dock "Proofread" does: it finds places, lists them, flies to each and mends them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Image, Labels

from napari_surfseg.errors import DataError, LabelError, SurfsegError
from napari_surfseg.gui.background.process_job import JobView, ProcessJob
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES, suggest_meanings
from napari_surfseg.gui.layers.alignment import describe_misplaced
from napari_surfseg.gui.layers.chosen_volume import (
    describe_lost,
    find_chosen_layer,
    take_chosen,
)
from napari_surfseg.gui.layers.job_controller import JobController
from napari_surfseg.gui.layers.label_counts import count_values
from napari_surfseg.gui.layers.layer_volume import LayerVolume, is_volume, shape_of, take_file
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of, part_of
from napari_surfseg.gui.proofread.comparison import Comparison, run_comparison
from napari_surfseg.gui.proofread.finding import FoundPlaces, run_search
from napari_surfseg.gui.proofread.keys import BoundKeys
from napari_surfseg.gui.proofread.layers import ErrorLayers
from napari_surfseg.gui.proofread.mend_controller import (
    MendController,
    Mended,
    MendViewProtocol,
)
from napari_surfseg.gui.proofread.teach_controller import TeachController

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.controls.source_choice import SourceChoice
    from napari_surfseg.gui.proofread.listing import Listed
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["ProofreadController", "ProofreadViewProtocol"]

#: More marks than this help nobody, and napari draws them slowly.
MAX_SHOWN = 2000
#: What is chosen, in the order in which the form has it.
FIELDS = ("prediction", "probabilities", "labels")


class ProofreadViewProtocol(JobView, MendViewProtocol, Protocol):
    """What the controller needs of the dock's widgets."""

    @property
    def find_clicked(self) -> Any:
        """Signal: a person wants the list of places."""

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
        """Offer these labels layers as the prediction and as labels."""

    def set_images(self, layers: Sequence[Layer]) -> None:
        """Offer these images as the probabilities."""

    def source(self, field: str) -> SourceChoice | None:
        """Return what is chosen as ``"prediction"``, ``"probabilities"`` or ``"labels"``."""

    def lost(self, field: str) -> str:
        """Return the name of the layer that a person chose and that is gone; else ``""``."""

    def suggest(self, field: str, layer: Layer, *, newer: bool = False) -> bool:
        """Choose a layer, unless a person has chosen or one is that is no less new."""

    def choose(self, field: str, layer: Layer | None) -> None:
        """Choose a layer as if a person had; None leaves the field empty."""

    def threshold_value(self) -> float | None:
        """Return the probability above which a voxel is surface; None if there are only labels."""

    def set_label_values(self, counts: dict[int, int], meanings: dict[int, str]) -> None:
        """Show the values that occur in the labels, how often, and what they mean."""

    def meanings(self) -> dict[int, str]:
        """Return the meaning of each label value, as shown."""

    def set_counting(self, text: str) -> None:
        """Say that label values are being counted; empty hides the line."""

    def set_result(self, scores: Mapping[str, float], places: Sequence[Listed], state: str) -> None:
        """Show what was found; without labels there are no scores."""

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Say which key does what, by action."""

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside its field, or below them."""


class ProofreadController(JobController):
    """Joins the view, the viewer and the processes; it needs no window.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are and the marks go.
    view : ProofreadViewProtocol
        Passive.
    session : Session
        Whose run learns from what is decided.
    jobs : Jobs
        Starts threads; replaced in tests.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        view: ProofreadViewProtocol,
        session: Session,
        *,
        jobs: Jobs | None = None,
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
        self._finding = ProcessJob(
            view,
            self._jobs,
            module="napari_surfseg.inference.doubt_process",
            what="search",
            title="Proofread",
        )
        self._source: Layer | None = None
        self._places: Sequence[Listed] = ()
        self._mended = Mended(None, "The prediction")
        self.shown = ErrorLayers(self._viewer)
        self.mends = MendController(self._viewer, view, self._jobs)
        self.teaching = TeachController(self._viewer, view, self.mends, session, self._jobs)
        self.mends.changed.connect(self._on_decided)
        self._keys = BoundKeys(self._viewer, self.mends.act)
        view.set_keys(self._keys.keys)
        view.find_clicked.connect(self.find)
        view.cancel_clicked.connect(self.cancel)
        view.labels_chosen.connect(self.count_labels)
        view.error_chosen.connect(self.go_to)
        self._on_layers()
        self.mends.show()

    @property
    def is_busy(self) -> bool:
        """Whether a comparison or a search is under way."""
        return self._job.is_busy or self._finding.is_busy

    def cancel(self) -> None:
        """End the comparison or the search."""
        super().cancel()
        self._finding.cancel()

    def close(self) -> None:
        """Let go of the viewer; what is under way ends."""
        self.shown.adder.stop()
        self.mends.close()
        self._keys.close()
        super().close()

    # -- choosing ------------------------------------------------------------------

    def _on_layers(self) -> None:
        volumes = [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image | Labels) and is_volume(layer)
        ]
        layers = [layer for layer in volumes if isinstance(layer, Labels)]
        self._view.set_layers(layers)
        self._view.set_images([layer for layer in volumes if isinstance(layer, Image)])
        # What the plugin made is a prediction; what is left is what a person painted or loaded.
        made = [layer for layer in layers if kind_of(layer) is not None]
        surfaces = [
            layer for layer in made if part_of(layer) != "skeleton" and kind_of(layer) != "unsure"
        ]
        others = [layer for layer in layers if layer not in made and not _is_strokes(layer)]
        if surfaces:
            newest = surfaces[-1]
            self._view.suggest("prediction", newest, newer=kind_of(newest) == "prediction")
        chosen = self._find_layer("prediction")
        for layer in volumes:
            if chosen is not None and _is_probability_of(layer, chosen):
                self._view.suggest("probabilities", layer, newer=True)
        if others and self._view.suggest("labels", others[-1]):
            self.count_labels()

    def proofread(self, folder: str) -> None:
        """List the doubtful places of the prediction that was made in a folder.

        What a person chose before gives way; without its layers in the viewer nothing happens.
        """
        made = [one for one in self._viewer.layers if one.metadata.get("folder") == folder]
        surface = next((one for one in made if part_of(one) == "surface"), None)
        if surface is None or self.is_busy:
            return
        probability = [one for one in made if _is_probability_of(one, surface)]
        self._view.choose("prediction", surface)
        self._view.choose("probabilities", probability[0] if probability else None)
        self._view.choose("labels", None)
        self.count_labels()
        self.find()

    def _find_layer(self, field: str) -> Layer | None:
        return find_chosen_layer(self._view.source(field), self._viewer)

    def _take(self, field: str) -> LayerVolume | str:
        try:
            lost = self._view.lost(field)
            if lost:
                raise DataError(describe_lost(lost, field))
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

    # -- finding -------------------------------------------------------------------

    def find(self) -> None:
        """List the errors against the chosen labels; without labels the doubtful places."""
        self._view.show_error("")
        try:
            chosen = [
                field for field in FIELDS if self._view.source(field) or self._view.lost(field)
            ]
            volumes = {field: self._take(field) for field in {"prediction", *chosen}}
        except SurfsegError as error:
            self._view.show_error(str(error), error.field)
            return
        layers = {field: self._find_layer(field) for field in FIELDS}
        prediction = volumes["prediction"]
        self._mended = Mended(
            layers["prediction"],
            prediction if isinstance(prediction, str) else prediction.name,
            _as_array(volumes.get("probabilities")),
        )
        if "labels" in volumes:
            self._compare(volumes, layers)
        else:
            self._search(volumes, layers)

    def _compare(
        self, volumes: dict[str, LayerVolume | str], layers: dict[str, Layer | None]
    ) -> None:
        meanings = self._view.meanings()
        try:
            if not meanings:
                raise LabelError("The label values are not known yet.", field="labels")
            if "foreground" not in meanings.values():
                raise LabelError(
                    "No label value means surface; choose the one that does.", field="labels"
                )
        except SurfsegError as error:
            self._view.show_error(str(error), error.field)
            return
        threshold = self._view.threshold_value()
        prediction, labels = layers["prediction"], layers["labels"]
        note = describe_misplaced(prediction, labels, "prediction") if prediction and labels else ""
        # Another layer may be chosen before this is done.
        self._source = labels or prediction
        truth = _as_array(volumes["labels"])
        if truth is not None:
            self._mended = replace(self._mended, labels=_Meant(truth, meanings))
        compared = {field: volumes[field] for field in ("prediction", "labels")}

        def work(process: JobProcess) -> Comparison:
            found = run_comparison(compared, meanings, threshold, process)
            return replace(found, warnings=[*found.warnings, *filter(None, [note])])

        def failed(error: SurfsegError) -> None:
            self._on_failed("Nothing was compared.", error)

        self._job.start(work, done=self.show, failed=failed)

    def _search(
        self, volumes: dict[str, LayerVolume | str], layers: dict[str, Layer | None]
    ) -> None:
        prediction, probabilities = volumes["prediction"], volumes.get("probabilities")
        self._source = layers["prediction"]
        threshold = self._view.threshold_value()
        if probabilities is not None:
            known = self._source.metadata.get("threshold") if self._source is not None else None
            threshold = 0.5 if known is None else float(known)

        def work(process: JobProcess) -> FoundPlaces:
            return run_search(prediction, probabilities, threshold, process)

        def failed(error: SurfsegError) -> None:
            self._on_failed("Nothing was looked for.", error)

        self._finding.start(work, done=self.show_places, failed=failed)

    def show(self, found: Comparison) -> None:
        """Show what a comparison found: scores, the list, and marks in the viewer."""
        self._job.end()
        total = len(found.errors)
        text = f"{total:,} {'error' if total == 1 else 'errors'}, the largest first."
        if total == 0:
            text = "No topology error: every feature has its partner."
        elif total > MAX_SHOWN:
            text = f"{total:,} errors; the {MAX_SHOWN:,} largest are shown."
        self._list(found.scores, found.errors, text, found)

    def show_places(self, found: FoundPlaces) -> None:
        """Show the doubtful places that were found, as a list and as marks in the viewer."""
        self._finding.end()
        total = len(found.places)
        text = f"{total:,} doubtful {'place' if total == 1 else 'places'}, what matters most first."
        if total == 0:
            text = "No doubtful place was found."
        self._list({}, found.places, text, found)

    def _list(
        self,
        scores: Mapping[str, float],
        places: Sequence[Listed],
        text: str,
        found: Comparison | FoundPlaces,
    ) -> None:
        places = self._places = places[:MAX_SHOWN]
        self.shown.show(places, self._source, found.spacing, self._go_to_chosen)
        self._view.set_result(scores, places, " ".join([text, *found.warnings]))
        said = self.mends.begin(places, self._mended)
        if said:
            self._view.set_mend_message(said)
        self.finished.emit(found)

    def _on_failed(self, state: str, error: SurfsegError) -> None:
        self._view.set_state(state)
        self._view.show_error(str(error), error.field)

    # -- looking -------------------------------------------------------------------

    def _on_decided(self) -> None:
        decided = [decision is not None for decision in self.mends.listing.decisions]
        if len(decided) == len(self._places):
            self.shown.hide_decided(decided, self._view.current())

    def _go_to_chosen(self) -> None:
        """Fly to the place that is chosen in a new list: nobody decides about one unseen."""
        index = self._view.current()
        if index is not None:
            self.go_to(index)

    def go_to(self, index: int) -> None:
        """Fly to a place of the list."""
        places = self.mends.listing.places
        if index < len(places):
            self.shown.go_to(index, places[index])
        self.mends.show()


class _Meant:
    """Labels as 1 on the surface, 0 beside it and 2 where nobody annotated, read by boxes."""

    def __init__(self, labels: Any, meanings: Mapping[int, str]) -> None:
        self._labels = labels
        self._meanings = dict(meanings)
        self.shape = labels.shape

    def __getitem__(self, box: Any) -> np.ndarray[Any, Any]:
        values = np.asarray(self._labels[box])
        meant = np.full(values.shape, 2, np.uint8)
        for value, meaning in self._meanings.items():
            if meaning != "ignore":
                meant[values == value] = int(meaning == "foreground")
        return meant


def _as_array(volume: LayerVolume | str | None) -> Any:
    """Return what can be cut with three slices; None for a file, which a mend does not wait for."""
    if volume is None or isinstance(volume, str):
        return None
    return _Volume(volume)


class _Volume:
    """A layer's voxels, read by boxes of three axes."""

    def __init__(self, volume: LayerVolume) -> None:
        self._volume = volume
        self.shape = volume.shape

    def __getitem__(self, box: Any) -> np.ndarray[Any, Any]:
        start, stop = zip(*((cut.start, cut.stop) for cut in box), strict=True)
        return self._volume.read(start, stop)


def _is_strokes(layer: Layer) -> bool:
    """Whether a labels layer is a person's strokes, with which nothing can be compared."""
    return meanings_of(layer) == LABEL_SCHEMES["strokes"]


def _is_probability_of(layer: Layer, surface: Layer) -> bool:
    """Whether a layer holds the probabilities that a surface was cut out of."""
    folder = surface.metadata.get("folder")
    return (
        folder is not None
        and layer.metadata.get("folder") == folder
        and part_of(layer) == "probability"
        and shape_of(layer) == shape_of(surface)
    )
