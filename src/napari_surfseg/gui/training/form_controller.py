"""Fills the training form from the viewer's layers, and settles from it what Start will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image, Labels, Shapes
from qtpy.QtCore import QObject, QTimer

from napari_surfseg.data.labels import looks_like_instances
from napari_surfseg.errors import ConfigError, DataError, SurfsegError
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.controls.label_schemes import (
    LABEL_SCHEMES,
    describe_objects,
    name_scheme,
    suggest_meanings,
    suggest_scheme,
)
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.chosen_volume import find_chosen_layer
from napari_surfseg.gui.layers.colormaps import color_of
from napari_surfseg.gui.layers.label_counts import count_values
from napari_surfseg.gui.layers.layer_volume import shape_of, take_file
from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.layers.metadata import kind_of, meanings_of
from napari_surfseg.gui.training.network_estimate import (
    choose_device,
    describe_network,
    read_model,
)
from napari_surfseg.gui.training.network_facts import NetworkQuestions, must_be_asked
from napari_surfseg.gui.training.start import Plan, make_plan, take_for_training
from napari_surfseg.gui.training.validation_box import build_box_layer
from napari_surfseg.model.presets import resolve_architecture
from napari_surfseg.process_memory import find_free_memory
from napari_surfseg.runs.standby import ask_gpu_memory, read_gpu_memory

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.training.form import TrainingForm
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.process_memory import GpuMemory

__all__ = ["FormController"]

#: A person paints in strokes; the counts follow when the brush rests.
RECOUNT_MILLISECONDS = 1500
#: How soon it is seen that something became known of the GPU.
GPU_MILLISECONDS = 2000


class FormController(QObject):
    """Joins the form and the viewer's layers.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are.
    view : TrainingViewProtocol
        Passive.
    jobs : Jobs
        Counts label values, in a thread.
    """

    def __init__(self, viewer: ViewerModel, view: TrainingViewProtocol, jobs: Jobs) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._jobs = jobs
        self._counted: tuple[SourceChoice, ...] | None = None
        self._meant: list[SourceChoice] = []
        self._suggested: str | None = None
        self._is_counting = False
        self._questions = NetworkQuestions(jobs)
        self._questions.answered.connect(self.refresh)
        self._recount = Debounce(self, RECOUNT_MILLISECONDS, self._count_again)
        self._gpu: GpuMemory | None = None
        self._gpu_timer = QTimer(self)
        self._gpu_timer.setInterval(GPU_MILLISECONDS)
        self._gpu_timer.timeout.connect(self._on_gpu_time)
        self._gpu_timer.start()
        view.form_changed.connect(self.refresh)
        view.data.pairs_changed.connect(self._on_chosen)
        view.data.draw_box_requested.connect(self.draw_box)
        self._watch = LayerWatch(viewer, on_list=self._on_layers, on_values=self._on_values)
        self._on_layers()

    def close(self) -> None:
        """Let go of the viewer."""
        self._recount.stop()
        self._questions.close()
        self._gpu_timer.stop()
        self._watch.close()

    # -- layers --------------------------------------------------------------------

    def _on_layers(self) -> None:
        data = self._view.data
        before = data.lost_layers()
        data.set_layers(*self._layers_by_kind())
        self._guess_pair()
        lost = data.lost_layers()
        if lost != before:
            data.set_pairs_error(" ".join(lost))
        self.refresh()

    def _on_chosen(self) -> None:
        self._view.data.set_pairs_error(" ".join(self._view.data.lost_layers()))
        self._guess_pair()

    def _on_values(self, layer: Layer) -> None:
        if any(
            find_chosen_layer(pair.labels, self._viewer) is layer
            for pair in self._view.data.pairs()
        ):
            self._recount.start()

    def _layers_by_kind(self) -> tuple[list[Layer], list[Layer], list[Layer]]:
        images: list[Layer] = []
        labels: list[Layer] = []
        shapes: list[Layer] = []
        for layer in self._viewer.layers:
            if kind_of(layer) in {"live", "curves"}:
                continue
            if isinstance(layer, Image) and layer.ndim >= 3:
                images.append(layer)
            elif isinstance(layer, Labels) and layer.ndim >= 3:
                labels.append(layer)
            elif isinstance(layer, Shapes):
                shapes.append(layer)
        return images, labels, shapes

    def _guess_pair(self) -> None:
        """Fill an empty first row with layers that fit together, unless a person chose."""
        data = self._view.data
        # What a network found is offered, but nobody's label until a person takes it for that.
        images, labels = (
            [layer for layer in layers if kind_of(layer) != "prediction"]
            for layers in self._layers_by_kind()[:2]
        )
        image_by_hand, labels_by_hand = data.chosen_by_hand(0)
        if data.many_choices():
            return  # what is learned from is said already
        if data.pairs()[0].image is None and not image_by_hand and images:
            data.set_image(0, SourceChoice.of_layer(images[0]))
        image = find_chosen_layer(data.pairs()[0].image, self._viewer)
        if labels_by_hand or image is None:
            return
        guessed = find_chosen_layer(data.pairs()[0].labels, self._viewer)
        if guessed is not None and shape_of(guessed) != shape_of(image):
            data.set_labels(0, None)  # a guess for another volume
        if data.pairs()[0].labels is None:
            for layer in labels:
                if shape_of(layer) == shape_of(image):
                    data.set_labels(0, SourceChoice.of_layer(layer))
                    break

    # -- form ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring what follows from the form up to date: the estimate and the label values."""
        form = self._view.form()
        self._show_network(form)
        ask_gpu_memory()  # _on_gpu_time shows the answer
        labels = tuple(pair.labels for pair in form.pairs if pair.labels is not None)
        labels += self._view.data.many_labels()
        if labels != self._counted:
            self._counted = labels
            self._count_labels([choice for choice in labels if choice is not None])

    def _show_network(self, form: TrainingForm) -> None:
        """Say what the network is and needs, or what is wrong with it, beside its control."""
        self._view.set_patch_error("")
        self._view.set_network_error("")
        self._gpu = gpu = read_gpu_memory()
        try:
            model = read_model(form)
            facts = None
            if must_be_asked(model):
                batch_size = form.settings.get("training.train_batch_size", 1)
                facts = self._questions.find(model, form.settings["data.patch_size"], batch_size)
                if facts is None:
                    what = model.network or "the network to start from"
                    self._view.set_estimate(f"Asking what {what} needs…")
                    return
                self._view.set_patch_step(facts.divisor)
            else:
                device = choose_device(form, gpu)
                self._view.set_patch_step(resolve_architecture(model, device=device).divisor)
            free = find_free_memory()
            said = describe_network(form, facts=facts, free_bytes=free, gpu=gpu)
            self._view.set_estimate(said)
        except ConfigError as error:
            self._view.set_estimate("")
            if (error.field or "").startswith("model"):
                self._view.set_network_error(str(error), error.field)
            else:
                self._view.set_patch_error(str(error))

    def _on_gpu_time(self) -> None:
        """Show what became known of the GPU since the form was shown."""
        if read_gpu_memory() != self._gpu:
            self._show_network(self._view.form())

    def _count_again(self) -> None:
        self._counted = None
        self.refresh()

    def _count_labels(self, choices: list[SourceChoice]) -> None:
        labels = self._view.data.labels
        labels.set_error("")
        if choices != self._meant:
            labels.forget_choice()
            self._suggested = None
            self._meant = choices
        if not choices:
            labels.set_values({}, {}, {})
            labels.set_counting("Choose labels to see their values.")
            return
        try:
            volumes = [take_for_training(choice, self._viewer, "labels") for choice in choices]
        except DataError as error:
            labels.set_error(str(error))
            return
        if not labels.has_values:
            labels.set_counting("Counting label values…")

        def work(job: Job) -> dict[int, int]:
            totals: dict[int, int] = {}
            for volume in volumes:
                opened = take_file(volume) if isinstance(volume, str) else volume
                for value, count in count_values(
                    opened, job.is_cancelled, may_be_objects=True
                ).items():
                    totals[value] = totals.get(value, 0) + count
            return totals

        self._is_counting = True
        self._jobs.start("count", work, done=self._on_counted, failed=self._on_count_failed)

    def _on_counted(self, counts: dict[int, int]) -> None:
        self._is_counting = False
        panel = self._view.data.labels
        is_chosen = panel.is_manual and panel.scheme_name() == "instances"
        if is_chosen or (looks_like_instances(counts) and not panel.is_manual):
            panel.set_counting(describe_objects(counts))
            panel.set_objects(counts)
            return
        layer = next(
            (
                found
                for pair in self._view.data.pairs()
                if isinstance(found := find_chosen_layer(pair.labels, self._viewer), Labels)
            ),
            None,
        )
        meanings, assumed = self._suggest(counts, meanings_of(layer))
        colors = {value: color_of(layer, value) for value in {*counts, *meanings}} if layer else {}
        panel.set_counting(assumed)
        panel.set_values(counts, meanings, colors)

    def _suggest(self, counts: dict[int, int], known: dict[int, str]) -> tuple[dict[int, str], str]:
        """Keep what a person, the layer or an earlier guess said; guess the rest."""
        panel = self._view.data.labels
        if panel.is_manual:
            scheme = LABEL_SCHEMES.get(panel.scheme_name(), {})
            kept = {**suggest_meanings(sorted(counts)), **scheme, **panel.meanings()}
            return {value: kept.get(value, "ignore") for value in counts}, ""
        if known:
            return {**suggest_meanings(sorted(counts)), **known}, ""
        meanings, assumed = suggest_scheme(counts)
        if self._suggested == "strokes" and set(counts) <= {0, 1, 2}:
            # Strokes stay strokes, however much is painted.
            meanings = {value: LABEL_SCHEMES["strokes"][value] for value in counts}
        self._suggested = name_scheme(meanings)
        return meanings, assumed

    def _on_count_failed(self, error: SurfsegError) -> None:
        self._is_counting = False
        self._view.data.labels.set_counting("")
        self._view.data.labels.set_error(str(error))

    def draw_box(self) -> None:
        """Add a Shapes layer with a rectangle to mark the validation box."""
        image = find_chosen_layer(self._view.data.pairs()[0].image, self._viewer)
        if image is None:
            self._view.show_error(
                "Choose a volume that is a layer first; the box is drawn on it.", "data.validation"
            )
            return
        layer = build_box_layer(self._viewer, image)
        self._viewer.layers.append(layer)
        layer.mode = "select"
        self._view.data.set_validation_box(SourceChoice.of_layer(layer))

    def make_plan(self) -> Plan:
        """Settle what Start will do, from the form as it is.

        Raises
        ------
        SurfsegError
            Naming the field that is wrong.
        """
        lost = self._view.data.lost_layers()
        if lost:
            raise DataError(" ".join(lost), field="data.train")
        is_counted = not (self._is_counting or self._recount.isActive())
        # Of a table only the first labels are counted, which may lack what others have.
        is_counted = is_counted and not self._view.data.many_choices()
        counts = self._view.data.labels.counts if is_counted else {}
        return make_plan(self._view.form(), self._viewer, counts)
