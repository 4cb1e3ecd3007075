"""What the buttons of the training widget do; works without a window."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from qtpy.QtCore import QObject, QTimer, Signal

from napari_surfseg.config import Model
from napari_surfseg.errors import ConfigError, DataError, SurfsegError
from napari_surfseg.events import (
    Command,
    CommandApplied,
    CommandRefused,
    Pause,
    Resume,
    SaveNow,
    SetLossWeights,
    SetPreview,
    SetTraining,
    Stop,
    append_command,
)
from napari_surfseg.gui.form import (
    Box,
    SourceChoice,
    TrainingForm,
    build_form_experiment,
    field_of_message,
    largest_box_beside,
    suggest_meanings,
)
from napari_surfseg.gui.jobs import Jobs
from napari_surfseg.gui.live import compute_view_center
from napari_surfseg.gui.sources import (
    LayerVolume,
    count_values,
    find_file,
    take_file,
    take_layer,
    write_layer,
)
from napari_surfseg.gui.strokes_controller import StrokesController
from napari_surfseg.model.presets import (
    check_patch_size,
    count_parameters,
    estimate_training_bytes,
    resolve_architecture,
)
from napari_surfseg.runs.folder import RunFolder, RunState, find_new_run_path
from napari_surfseg.runs.launch import launch_worker
from napari_surfseg.runs.text import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.config import Experiment
    from napari_surfseg.gui.jobs import Job
    from napari_surfseg.gui.session import Session
    from napari_surfseg.gui.training_view import TrainingView
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["Plan", "TrainingController", "describe_network", "execute_plan"]

#: Region predicted live: the slices around the one on screen, a quarter of the time of the
#: default's full cube.
PREVIEW_SIZE = (32, 128, 128)
#: A person paints in strokes; the counts follow when the brush rests.
RECOUNT_MILLISECONDS = 1500


@dataclass
class Plan:
    """What Start will do, settled in the window's thread and carried out in another.

    Attributes
    ----------
    form : TrainingForm
        As filled in.
    pairs : list
        Image, labels and role of each pair; a file that is still to be opened is its path.
    run_dir : Path
        Where the run will lie.
    box : Box or None
        Validation box in the first training volume.
    center : tuple of int or None
        Voxel the viewer looks at in the first training volume.
    layer_names, label_layers : dict
        Once carried out: the layer that shows each volume, and the one that each of the
        run's own labels was copied from, by the path in the run's configuration.
    """

    form: TrainingForm
    pairs: list[tuple[LayerVolume | str, LayerVolume | str, str]]
    run_dir: Path
    box: Box | None = None
    center: tuple[int, int, int] | None = None
    layer_names: dict[str, str] = field(default_factory=dict)
    label_layers: dict[str, str] = field(default_factory=dict)


def describe_network(form: TrainingForm, *, available_bytes: int | None = None) -> str:
    """Say how large the network is and what a step of training will need.

    Raises
    ------
    ConfigError
        Where the patch does not fit the network.
    """
    device = "cuda" if form.device == "cuda" else "cpu"
    preset = form.settings["model.preset"]
    architecture = resolve_architecture(Model(preset=preset), device=device)
    z, y, x = form.settings["data.patch_size"]
    check_patch_size((z, y, x), architecture)
    needed = estimate_training_bytes(
        architecture, (z, y, x), batch_size=form.settings.get("training.train_batch_size", 1)
    )
    parameters = count_parameters(architecture) / 1e6
    where = "GPU" if device == "cuda" else "CPU"
    size = f"{parameters:.2g}" if parameters < 10 else f"{parameters:.0f}"
    said = (
        f"{size} million parameters; about {format_bytes(needed)} of memory for a step with "
        f"patches of {z} × {y} × {x} on the {where}, besides some 0.5 GiB for PyTorch itself."
    )
    if device == "cpu" and available_bytes is not None and needed > 0.9 * available_bytes:
        said += (
            f" Only {format_bytes(available_bytes)} are free: choose a smaller patch or network."
        )
    return said


def execute_plan(
    plan: Plan,
    progress: Callable[[float], None],
    launch: Callable[..., int] = launch_worker,
) -> Plan:
    """Write the run folder, layers included, and launch the worker; waits for the disk.

    Raises
    ------
    SurfsegError
        The folder is then gone again.
    """
    images: dict[int, str] = {}
    entries: list[dict[str, Any]] = []
    exports: list[tuple[LayerVolume, Path]] = []
    inputs = RunFolder(plan.run_dir).inputs
    pairs = [(_opened(image), _opened(labels), role) for image, labels, role in plan.pairs]
    for number, (image, labels, role) in enumerate(pairs):
        if image.shape != labels.shape:
            raise DataError(
                f"The volume {image.name!r} has {_by(image.shape)} voxels and its labels "
                f"{labels.name!r} have {_by(labels.shape)}; they must be the same.",
                field="data.train",
            )
        entry: dict[str, Any] = {"role": role}
        for what, volume in (("image", image), ("labels", labels)):
            known = images.get(id(volume.data))
            path = known or find_file(volume)
            if path is None:
                target = inputs / f"{what}_{number}.zarr"
                exports.append((volume, target))
                path = str(target.resolve())
            if volume.is_labels:
                plan.label_layers[path] = volume.name
            images[id(volume.data)] = path
            entry[what] = path
        plan.layer_names[entry["image"]] = image.name
        entries.append(entry)
    train = [_without_role(entry) for entry in entries if entry["role"] == "train"]
    validation = [_without_role(entry) for entry in entries if entry["role"] == "validation"]
    if plan.box is not None:
        beside = largest_box_beside(pairs[0][0].shape, plan.box)
        if beside is None:
            raise ConfigError(
                "The validation box leaves no part of the volume to train on; make it smaller.",
                field="data.validation",
            )
        validation = [{**train[0], "roi": plan.box}]
        train[0] = {**train[0], "roi": beside}
    experiment = _with_preview(
        build_form_experiment(
            plan.form,
            train,
            validation,
            spacing=_common_spacing(pairs),
        )
    )
    folder = RunFolder(plan.run_dir).create(experiment)
    try:
        for number, (volume, target) in enumerate(exports):

            def report(share: float, number: int = number) -> None:
                progress((number + share) / len(exports))

            write_layer(volume, target, report)
        if plan.center is not None:
            append_command(
                folder.commands_path,
                SetPreview(image=entries[0]["image"], center=plan.center, size=PREVIEW_SIZE),
            )
        launch(plan.run_dir, device=plan.form.device)
    except BaseException:
        shutil.rmtree(plan.run_dir, ignore_errors=True)
        raise
    return plan


def _without_role(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "role"}


def _with_preview(experiment: Experiment) -> Experiment:
    preview = experiment.preview.model_copy(update={"size": PREVIEW_SIZE})
    return experiment.model_copy(update={"preview": preview})


def _opened(volume: LayerVolume | str) -> LayerVolume:
    """Open what is still a path; waits for the disk."""
    if not isinstance(volume, str):
        return volume
    try:
        return take_file(volume)
    except SurfsegError as error:
        error.field = error.field or "data.train"
        raise


def _common_spacing(
    pairs: list[tuple[LayerVolume, LayerVolume, str]],
) -> tuple[float, float, float] | None:
    """Return the volumes' voxel size where they share it and it says something."""
    spacings = {image.spacing for image, _labels, _role in pairs}
    if len(spacings) != 1:
        return None
    spacing = spacings.pop()
    return None if spacing == (1.0, 1.0, 1.0) else spacing


class TrainingController(QObject):
    """Joins the view, the viewer's layers and the session.

    Parameters
    ----------
    viewer : ViewerModel
        Where the volumes are.
    view : TrainingView
        Or anything with its methods and signals.
    session : Session
        Follows the run.
    launch : callable
        Starts a worker; replaced in tests.
    jobs : Jobs
        Runs what may wait; replaced in tests.
    """

    started = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        view: TrainingView,
        session: Session,
        *,
        launch: Callable[..., int] = launch_worker,
        jobs: Jobs | None = None,
        runs_folder: Path | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._session = session
        self._launch = launch
        self._jobs = jobs or Jobs()
        self._busy = ""
        self._pending: set[str] = set()
        self._weights_shown = False
        self._counted: tuple[object, ...] = ()
        self._recount = QTimer(self)
        self._recount.setSingleShot(True)
        self._recount.setInterval(RECOUNT_MILLISECONDS)
        self._recount.timeout.connect(self._count_again)
        self._length = QTimer(self)
        self._length.setSingleShot(True)
        self._length.setInterval(600)
        self._length.timeout.connect(self.send_length)
        self.strokes = StrokesController(viewer, view.strokes, session, self._jobs)
        view.set_folder(runs_folder or Path.home() / "surfseg_runs")
        view.form_changed.connect(self.refresh)
        view.length_changed.connect(self._on_length)
        view.live_setting_changed.connect(self.send_setting)
        view.loss.settled.connect(self.send_weights)
        view.data.draw_box_requested.connect(self.draw_box)
        run = view.run
        run.start_clicked.connect(self.start)
        run.pause_clicked.connect(self.pause)
        run.resume_clicked.connect(self.resume)
        run.stop_clicked.connect(self.stop)
        run.save_clicked.connect(self.save)
        run.preview_chosen.connect(session.show_preview)
        session.attached.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        session.previews_changed.connect(run.set_previews)
        session.broke.connect(self._on_broke)
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)
        self._on_layers()
        if session.snapshot is not None:
            self._on_polled(session.snapshot)

    def close(self) -> None:
        """Let go of the viewer; the run goes on."""
        self._recount.stop()
        self._length.stop()
        self.strokes.close()
        self._jobs.cancel_all()
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
                if tuple(layer.data.shape) == _shape(image):
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

    def draw_box(self) -> None:
        """Add a Shapes layer with a rectangle to mark the validation box."""
        image = self._layer(self._view.data.pairs()[0].image)
        if image is None:
            self._view.show_error(
                "Choose a volume that is a layer first; the box is drawn on it.", "data.validation"
            )
            return
        from napari.layers import Shapes

        _, height, width = _shape(image)
        y, x = 0.6 * height, 0.0
        center = compute_view_center(self._viewer, image)
        corners = [
            [center[0], y, x],
            [center[0], y, width - 1],
            [center[0], height - 1, width - 1],
            [center[0], height - 1, x],
        ]
        layer = Shapes(
            [np.asarray(corners)],
            shape_type="rectangle",
            name="validation box",
            scale=image.scale,
            translate=image.translate,
            units=image.units,
            axis_labels=image.axis_labels,
            edge_color="#ffd33d",
            face_color=[1, 0.83, 0.24, 0.12],
            edge_width=max(height / 150, 1.0),
        )
        self._viewer.layers.append(layer)
        layer.mode = "select"
        self._view.data.box_layer.setCurrentText(layer.name)

    # -- start ---------------------------------------------------------------------

    def start(self) -> None:
        """Check the form, then write the run folder and launch in a thread."""
        self._view.clear_errors()
        try:
            plan = self.make_plan(self._view.form())
        except SurfsegError as error:
            self._view.show_error(str(error), error.field)
            return
        self._set_busy("Writing the run folder…")
        launch = self._launch

        def work(job: Job) -> Plan:
            return execute_plan(plan, job.report, launch)

        self._jobs.start(
            "start",
            work,
            done=self._on_launched,
            failed=self._on_start_failed,
            progressed=self._view.run.set_busy_progress,
        )

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
        shapes = self._viewer.layers[form.validation_layer]
        if not len(shapes.data):
            raise ConfigError(
                f"The layer {shapes.name!r} holds no rectangle.", field="data.validation"
            )
        corners = np.asarray(
            [image.world_to_data(shapes.data_to_world(corner)) for corner in shapes.data[0]]
        )[:, -3:]
        low = np.floor(corners.min(axis=0)).astype(int)
        high = np.ceil(corners.max(axis=0)).astype(int)
        edges = []
        for axis, size in enumerate(_shape(image)):
            flat = high[axis] - low[axis] < 1  # the axis across which it was drawn
            start = 0 if flat else int(np.clip(low[axis], 0, size))
            stop = size if flat else int(np.clip(high[axis] + 1, 0, size))
            if stop <= start:
                raise ConfigError(
                    f"The rectangle of {shapes.name!r} lies outside the volume.",
                    field="data.validation",
                )
            edges.append((start, stop))
        return edges[0], edges[1], edges[2]

    def _on_launched(self, plan: Plan) -> None:
        self._set_busy("")
        self._session.attach(plan.run_dir, own=True)
        for path, layer in plan.layer_names.items():
            self._session.name_layer(path, layer)
        layers = self._viewer.layers
        self.strokes.follow(
            {path: layers[name] for path, name in plan.label_layers.items() if name in layers}
        )
        self.started.emit(plan.run_dir)

    def _on_start_failed(self, error: SurfsegError) -> None:
        self._set_busy("")
        self._view.show_error(str(error), error.field or field_of_message(str(error)))

    def _set_busy(self, text: str) -> None:
        self._busy = text
        self._view.set_snapshot(self._session.snapshot, busy=text)

    # -- steering ------------------------------------------------------------------

    def pause(self) -> None:
        """Pause the run."""
        self._send(Pause())

    def resume(self) -> None:
        """Go on: tell a paused worker, or launch a new one where there is none."""
        snapshot = self._session.snapshot
        run_dir = self._session.run_dir
        if snapshot is None or run_dir is None:
            return
        if snapshot.state is RunState.PAUSED:
            self._send(Resume())
            return
        self._view.clear_errors()
        self._set_busy("Starting the worker again…")
        device = self._view.form().device
        launch = self._launch

        def work(_job: Job) -> Path:
            has_checkpoint = RunFolder(run_dir).last_checkpoint.exists()
            launch(run_dir, device=device, resume=has_checkpoint)
            return run_dir

        self._jobs.start("resume", work, done=self._on_relaunched, failed=self._on_start_failed)

    def _on_relaunched(self, run_dir: Path) -> None:
        self._set_busy("")
        self._session.attach(run_dir, own=True)

    def stop(self) -> None:
        """Stop the run."""
        self._send(Stop())

    def save(self) -> None:
        """Write last.pt now."""
        self._send(SaveNow())

    def send_weights(self) -> None:
        """Tell a running training the weights as they are."""
        weights = self._view.loss.weights()
        if self._session.is_active and any(weights.values()):
            self._pending.add(self._send(SetLossWeights(weights=weights)))

    def _on_length(self) -> None:
        if self._session.is_active:
            self._length.start()

    def send_length(self) -> None:
        """Tell a running training how long it should take."""
        settings = self._view.form().settings
        self._send(
            SetTraining(
                max_minutes=settings["training.max_minutes"],
                max_epochs=settings["training.max_epochs"],
            )
        )

    def send_setting(self, key: str) -> None:
        """Tell a running training one of the settings it takes."""
        if not self._session.is_active:
            return
        value = self._view.setting(key)
        if key == "data.foreground_share":
            self._send(SetTraining(foreground_share=value))
        elif key == "preview.seconds":
            self._send(SetPreview(seconds=value))

    def _send(self, command: Command) -> str:
        self._view.run.error.set_message("")
        return self._session.send(command)

    # -- following -----------------------------------------------------------------

    def _on_attached(self, _run_dir: object) -> None:
        self._pending.clear()
        self._weights_shown = False
        self._view.clear_errors()
        self._view.run.set_previews([])
        self._view.run.set_shown_preview("newest")

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        for event in snapshot.new_events:
            if isinstance(event, CommandApplied | CommandRefused):
                self._pending.discard(event.command_id)
                if isinstance(event, CommandRefused) and event.command != "UpdateLabels":
                    self._view.run.error.set_message(event.message)
                elif event.command == "SetLossWeights":
                    self._weights_shown = False
        self._view.set_snapshot(snapshot, busy=self._busy)
        if snapshot.weights and not self._pending and not self._weights_shown:
            self._weights_shown = snapshot.started is not None
            self._view.loss.set_weights(snapshot.weights)
        if snapshot.state is RunState.FAILED:
            found = field_of_message(snapshot.message)
            if found is not None:
                self._view.show_error(snapshot.message, found)

    def _on_broke(self, message: str) -> None:
        self._view.run.error.set_message(message)


def _shape(layer: Layer) -> tuple[int, int, int]:
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(int(size) for size in data.shape[-3:])  # type: ignore[return-value]


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
