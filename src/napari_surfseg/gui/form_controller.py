"""Fills the training form from the viewer's layers, and settles from it what Start will do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from qtpy.QtCore import QObject, QTimer

from napari_surfseg.config import Model
from napari_surfseg.errors import ConfigError, DataError, SurfsegError
from napari_surfseg.gui.form import (
    Box,
    SourceChoice,
    TrainingForm,
    build_form_experiment,
    suggest_meanings,
)
from napari_surfseg.gui.live import compute_view_center
from napari_surfseg.gui.sources import LayerVolume, count_values, shape_of, take_file, take_layer
from napari_surfseg.gui.start_plan import Plan, describe_network
from napari_surfseg.gui.validation_box import build_box_layer, read_box
from napari_surfseg.model.presets import resolve_architecture
from napari_surfseg.runs.folder import find_new_run_path

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.jobs import Job, Jobs
    from napari_surfseg.gui.training_view import TrainingView

__all__ = ["FormController"]

#: A person paints in strokes; the counts follow when the brush rests.
RECOUNT_MILLISECONDS = 1500


class FormController(QObject):
    """Joins the form and the viewer's layers.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are.
    view : TrainingView
        Or anything with its methods and signals.
    jobs : Jobs
        Counts label values, in a thread.
    """

    def __init__(self, viewer: ViewerModel, view: TrainingView, jobs: Jobs) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._jobs = jobs
        self._counted: tuple[object, ...] = ()
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.setInterval(RECOUNT_MILLISECONDS)
        self._recount.timeout.connect(self._count_again)
        view.form_changed.connect(self.refresh)
        view.data.draw_box_requested.connect(self.draw_box)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        self._on_layers()

    def close(self) -> None:
        """Let go of the viewer."""
        self._recount.stop()
        self._viewer.layers.events.inserted.disconnect(self._on_layers)
        self._viewer.layers.events.removed.disconnect(self._on_layers)

    # -- layers --------------------------------------------------------------------

    def _on_layers(self, event: Any = None) -> None:
        layer = getattr(event, "value", None)
        if layer is not None and getattr(event, "type", "") == "inserted":
            layer.events.name.connect(self._on_renamed)
            if hasattr(layer.events, "paint"):
                layer.events.paint.connect(self._on_painted)
        images, labels, shapes = self._names_by_kind()
        self._view.data.set_layers(images, labels, shapes)
        self._guess_pair()
        self.refresh()

    def _on_renamed(self, _event: object = None) -> None:
        self._on_layers()

    def _on_painted(self, _event: object = None) -> None:
        self._recount.start()

    def _names_by_kind(self) -> tuple[list[str], list[str], list[str]]:
        images, labels, shapes = [], [], []
        for layer in self._viewer.layers:
            if layer.metadata.get("surfseg") in {"live", "curve"}:
                continue
            kind = layer._type_string if hasattr(layer, "_type_string") else ""  # noqa: SLF001
            if kind == "image" and layer.ndim >= 3:
                images.append(layer.name)
            elif kind == "labels" and layer.ndim >= 3:
                labels.append(layer.name)
            elif kind == "shapes":
                shapes.append(layer.name)
        return images, labels, shapes

    def _guess_pair(self) -> None:
        """Fill an empty first row with layers that fit together, unless a person chose."""
        row = self._view.data.rows[0]
        images, labels, _ = self._names_by_kind()
        if row.image.choice() is None and not row.image.is_manual and images:
            row.image.set_choice(SourceChoice("layer", images[0]))
        image = self._layer(row.image.choice())
        if row.labels.choice() is None and not row.labels.is_manual and image is not None:
            for name in labels:
                layer = self._viewer.layers[name]
                if tuple(layer.data.shape) == shape_of(image):
                    row.labels.set_choice(SourceChoice("layer", name))
                    break

    def _layer(self, choice: SourceChoice | None) -> Layer | None:
        if choice is None or choice.kind != "layer" or choice.name not in self._viewer.layers:
            return None
        return self._viewer.layers[choice.name]

    # -- form ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring what follows from the form up to date: the estimate and the label values."""
        form = self._view.form()
        self._view.patch_error.set_message("")
        try:
            architecture = resolve_architecture(
                Model(preset=form.settings["model.preset"]),
                device="cuda" if form.device == "cuda" else "cpu",
            )
            self._view.set_patch_step(architecture.divisor)
            free = psutil.virtual_memory().available
            self._view.set_estimate(describe_network(form, available_bytes=free))
        except ConfigError as error:
            self._view.set_estimate("")
            self._view.patch_error.set_message(str(error))
        labels = tuple(pair.labels for pair in form.pairs if pair.labels is not None)
        layers = tuple(id(self._layer(choice)) for choice in labels)
        if (labels, layers) != self._counted:
            self._counted = (labels, layers)
            self._count_labels([choice for choice in labels if choice is not None])

    def _count_again(self) -> None:
        self._counted = ()
        self.refresh()

    def _count_labels(self, choices: list[SourceChoice]) -> None:
        data = self._view.data
        data.labels_error.set_message("")
        if not choices:
            data.set_label_values({}, {}, {})
            data.set_counting("Choose labels to see their values.")
            return
        try:
            volumes = [self._take(choice) for choice in choices]
        except DataError as error:
            data.labels_error.set_message(str(error))
            return
        if not data.meaning_rows:
            data.set_counting("Counting label values…")

        def work(job: Job) -> dict[int, int]:
            totals: dict[int, int] = {}
            for volume in volumes:
                opened = take_file(volume) if isinstance(volume, str) else volume
                for value, count in count_values(opened, job.is_cancelled).items():
                    totals[value] = totals.get(value, 0) + count
            return totals

        self._jobs.start("count", work, done=self._on_counted, failed=self._on_count_failed)

    def _on_counted(self, counts: dict[int, int]) -> None:
        data = self._view.data
        layer = next(
            (
                found
                for pair in data.pairs()
                if (found := self._layer(pair.labels)) is not None and hasattr(found, "get_color")
            ),
            None,
        )
        colors: dict[int, tuple[float, float, float, float]] = {}
        for value in counts:
            rgba = layer.get_color(value) if layer is not None else None
            if rgba is not None:
                red, green, blue, alpha = (float(part) for part in rgba)
                colors[value] = (red, green, blue, alpha)
        told = layer.metadata.get("surfseg_labels") if layer is not None else None
        meanings = {**suggest_meanings(sorted(counts)), **(told or {})}
        meanings |= {v: m for v, m in data.meanings().items() if v in counts}
        data.set_counting("")
        data.set_label_values(counts, meanings, colors)

    def _on_count_failed(self, error: SurfsegError) -> None:
        self._view.data.set_counting("")
        self._view.data.labels_error.set_message(str(error))

    def _take(self, choice: SourceChoice) -> LayerVolume | str:
        layer = self._layer(choice)
        if layer is None:
            return choice.name
        try:
            return take_layer(layer)
        except DataError as error:
            error.field = "data.train"
            raise

    # -- plan ----------------------------------------------------------------------

    def draw_box(self) -> None:
        """Add a Shapes layer with a rectangle to mark the validation box."""
        image = self._layer(self._view.data.pairs()[0].image)
        if image is None:
            self._view.show_error(
                "Choose a volume that is a layer first; the box is drawn on it.", "data.validation"
            )
            return
        layer = build_box_layer(self._viewer, image)
        self._viewer.layers.append(layer)
        layer.mode = "select"
        self._view.data.box_layer.setCurrentText(layer.name)

    def make_plan(self, form: TrainingForm) -> Plan:
        """Settle what Start will do, without touching the disk.

        Raises
        ------
        SurfsegError
            Naming the field that is wrong.
        """
        pairs: list[tuple[LayerVolume | str, LayerVolume | str, str]] = []
        several = len(form.pairs) > 1
        for number, pair in enumerate(form.pairs, start=1):
            which = f" of pair {number}" if several else ""
            for choice, what in ((pair.image, "volume"), (pair.labels, "labels")):
                if choice is None:
                    raise DataError(f"Choose the {what}{which}.", field="data.train")
            if pair.image is None or pair.labels is None:
                continue
            image, labels = (self._take(choice) for choice in (pair.image, pair.labels))
            pairs.append((image, labels, pair.role if several else "train"))
        if not any(role == "train" for _, _, role in pairs):
            raise DataError("At least one pair must be for training.", field="data.train")
        if form.validation == "pairs" and all(role == "train" for _, _, role in pairs):
            raise ConfigError(
                "No pair is marked for validation; mark one, or keep the end of each volume.",
                field="data.validation",
            )
        if form.meanings and "foreground" not in form.meanings.values():
            raise ConfigError(
                "No label value means surface; at least one must.", field="data.labels"
            )
        describe_network(form)
        if not form.folder:
            raise ConfigError("Choose a folder for the run.", field="run_dir")
        pairs.sort(key=lambda pair: pair[2] != "train")
        run_dir = find_new_run_path(form.name, Path(form.folder).expanduser().resolve())
        plan = Plan(form=form, pairs=pairs, run_dir=run_dir)
        if form.validation == "box":
            plan.box = self._read_box(form)
        first = next((pair for pair in form.pairs if pair.role == "train" or not several), None)
        layer = self._layer(first.image) if first is not None else None
        if layer is not None:
            plan.center = compute_view_center(self._viewer, layer)
        # What pydantic refuses is refused now, beside its control, not in the worker's log.
        build_form_experiment(form, [{"image": "image", "labels": "labels"}], [])
        return plan

    def _read_box(self, form: TrainingForm) -> Box:
        image = self._layer(form.pairs[0].image)
        if image is None or form.validation_layer not in self._viewer.layers:
            raise ConfigError(
                "Press Draw and move the rectangle to where the validation box should be.",
                field="data.validation",
            )
        return read_box(image, self._viewer.layers[form.validation_layer])
