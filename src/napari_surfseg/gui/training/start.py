"""What Start does: settled from the form in the window's thread, carried out in another.

::

    form, layers ──make_plan──▶ Plan ──execute_plan──▶ run folder, copies of layers, worker
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_surfseg.data.mixed_sizes import RUN_SPACING_TOLERANCE
from napari_surfseg.data.units import compare_sizes
from napari_surfseg.errors import CancelledError, ConfigError, DataError, SurfsegError
from napari_surfseg.events import SetPreview, append_command
from napari_surfseg.geometry import contains_box, to_ranges, whole_box
from napari_surfseg.gui.layers.alignment import describe_misplaced
from napari_surfseg.gui.layers.camera import compute_view_center
from napari_surfseg.gui.layers.chosen_volume import find_chosen_layer, take_chosen
from napari_surfseg.gui.layers.copies import require_consent, write_copies
from napari_surfseg.gui.layers.label_regions import region_of, take_labels
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.gui.run_session.run_layers import describe_layer, write_layer_notes
from napari_surfseg.gui.training.form import TrainingForm, build_form_experiment, read_roi
from napari_surfseg.gui.training.many_controller import list_pairs
from napari_surfseg.gui.training.network_estimate import describe_network
from napari_surfseg.gui.training.validation_box import largest_box_beside, read_box
from napari_surfseg.runs.folder import RunFolder, find_new_run_path
from napari_surfseg.runs.launchers.job import cancel_job
from napari_surfseg.runs.standby import launch_prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Box, Index3, Spacing3
    from napari_surfseg.gui.controls.source_choice import SourceChoice

__all__ = [
    "Plan",
    "PlannedPair",
    "execute_plan",
    "make_plan",
    "take_for_training",
]


@dataclass(frozen=True)
class PlannedPair:
    """One volume and its labels, taken from the form.

    Attributes
    ----------
    image, labels : LayerVolume or str
        A file that is still to be opened is its path.
    role : str
        ``"train"`` or ``"validation"``.
    image_layer, labels_layer : Layer or None
        What they were taken from; only remembered, never touched in a thread.
    roi : Box or None
        The part that is used.
    number : int
        Place among the form's pairs.
    note : str
        Where the labels lie in the viewer, unless it is over the volume.
    """

    image: LayerVolume | str
    labels: LayerVolume | str
    role: str = "train"
    image_layer: Layer | None = None
    labels_layer: Layer | None = None
    roi: Box | None = None
    number: int = 0
    note: str = ""


@dataclass
class Plan:
    """What Start will do, settled in the window's thread and carried out in another.

    Attributes
    ----------
    form : TrainingForm
        As filled in.
    pairs : list of PlannedPair
        What to learn from.
    run_dir : Path
        Where the run will lie.
    box : Box or None
        Validation box in the first training volume.
    center : tuple of int or None
        Voxel the viewer looks at in the first training volume.
    places : dict
        Name and place of each layer, by the layer's ``id``.
    image_layers, label_layers : dict
        Once carried out: the layer that shows each volume, and the one that each of the
        run's own labels was copied from, by the path in the run's configuration.
    notes : list of str
        Once carried out: sentences about what was chosen for the person.
    """

    form: TrainingForm
    pairs: list[PlannedPair]
    run_dir: Path
    box: Box | None = None
    center: Index3 | None = None
    places: dict[int, dict[str, Any]] = field(default_factory=dict)
    image_layers: dict[str, Layer] = field(default_factory=dict)
    label_layers: dict[str, Layer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def take_for_training(choice: SourceChoice, viewer: ViewerModel, what: str) -> LayerVolume | str:
    """Take what was chosen, as :func:`take_chosen` does; labels of a part stand for the whole.

    Raises
    ------
    DataError
        With the field it concerns.
    """
    try:
        return take_chosen(choice, viewer, what, take=take_labels)
    except DataError as error:
        error.field = "data.train"
        raise


def make_plan(form: TrainingForm, viewer: ViewerModel, counts: Mapping[int, int]) -> Plan:
    """Settle what Start will do, without touching the disk.

    Parameters
    ----------
    form : TrainingForm
        As filled in.
    viewer : ViewerModel
        Where the chosen layers are.
    counts : mapping
        Voxels of each label value; empty where they are not counted yet.

    Raises
    ------
    SurfsegError
        Naming the field that is wrong.
    """
    pairs = [
        _plan_pair(form, viewer, number)
        for number, pair in enumerate(form.pairs)
        if not (form.many and pair.image is None and pair.labels is None)
    ]
    if not form.many and not any(pair.role == "train" for pair in pairs):
        raise DataError("At least one pair must be for training.", field="data.train")
    no_validation = not form.many and all(pair.role == "train" for pair in pairs)
    if form.validation == "pairs" and no_validation:
        raise ConfigError(
            "No pair is marked for validation; mark one, or let validation be automatic.",
            field="data.validation",
        )
    _require_surface_and_background(form.meanings, counts)
    describe_network(form)
    if not form.folder:
        raise ConfigError("Choose a folder for the run.", field="run_dir")
    pairs.sort(key=lambda pair: pair.role != "train")
    run_dir = find_new_run_path(form.name, Path(form.folder).expanduser().resolve())
    plan = Plan(form=form, pairs=pairs, run_dir=run_dir)
    plan.places = {
        id(layer): describe_layer(layer)
        for pair in pairs
        for layer in (pair.image_layer, pair.labels_layer)
        if layer is not None
    }
    if form.validation == "box":
        plan.box = _read_validation_box(form, viewer)
    looked_at = pairs[0].image_layer if pairs else None
    if looked_at is not None:
        plan.center = compute_view_center(viewer, looked_at)
    # What pydantic refuses is refused now, beside its control, not in the worker's log.
    build_form_experiment(form, [{"image": "image", "labels": "labels"}], [])
    return plan


def _plan_pair(form: TrainingForm, viewer: ViewerModel, number: int) -> PlannedPair:
    """Take one pair of the form."""
    pair = form.pairs[number]
    several = len(form.pairs) > 1
    which = f" of pair {number + 1}" if several else ""
    if pair.image is None:
        raise DataError(f"Choose the volume{which}.", field="data.train")
    if pair.labels is None:
        raise DataError(f"Choose the labels{which}.", field="data.train")
    image = take_for_training(pair.image, viewer, "volume")
    labels = take_for_training(pair.labels, viewer, "labels")
    image_layer = find_chosen_layer(pair.image, viewer)
    labels_layer = find_chosen_layer(pair.labels, viewer)
    try:
        roi = read_roi(pair.roi)
    except ConfigError as error:
        error.field = f"data.train.{number}.roi"
        raise
    region = region_of(labels_layer)
    if roi is None and region is not None:
        roi = region[0]
    return PlannedPair(
        image=image,
        labels=labels,
        role=pair.role if several else "train",
        image_layer=image_layer,
        labels_layer=labels_layer,
        roi=roi,
        number=number,
        note=describe_misplaced(image_layer, labels_layer) if image_layer and labels_layer else "",
    )


def _require_surface_and_background(meanings: Mapping[int, str], counts: Mapping[int, int]) -> None:
    """Refuse labels without surface or background, as far as they are counted."""
    if meanings and "foreground" not in meanings.values():
        raise ConfigError("No label value means surface; at least one must.", field="data.labels")
    if not counts:
        return
    for meaning, what in (("foreground", "surface"), ("background", "background")):
        values = [value for value, of in sorted(meanings.items()) if of == meaning]
        if values and not any(counts.get(value) for value in values):
            raise ConfigError(
                f"No voxel is labelled as {what} yet (label value {values[0]}); the network "
                "learns to tell surface from background, so paint some of both.",
                field="data.labels",
            )


def _read_validation_box(form: TrainingForm, viewer: ViewerModel) -> Box:
    image = find_chosen_layer(form.pairs[0].image, viewer)
    shapes = find_chosen_layer(form.validation_layer, viewer)
    if image is None or shapes is None:
        raise ConfigError(
            "Press Draw and move the rectangle to where the validation box should be.",
            field="data.validation",
        )
    return read_box(image, shapes)


def execute_plan(
    plan: Plan,
    progress: Callable[[float], None],
    launch: Callable[..., object] = launch_prepared,
    *,
    ask: Callable[[str], bool] = lambda _question: True,
    check: Callable[[], None] = lambda: None,
) -> Plan:
    """Write the run folder, layers included, and launch the worker; waits for the disk.

    Parameters
    ----------
    plan : Plan
        Settled before.
    progress : callable
        Given the share of the copying that is done.
    launch : callable
        Starts the worker.
    ask : callable
        Asked before a large layer is copied; no ends it all.
    check : callable
        Called now and then; raises to stop.

    Raises
    ------
    SurfsegError
        The folder is then gone again.
    """
    located: dict[Hashable, LayerVolume] = {}
    targets: dict[int, str] = {}
    entries: list[dict[str, Any]] = []
    many = [list_pairs(choice) for choice in plan.form.many]
    exports: list[tuple[LayerVolume, Path]] = []
    inputs = RunFolder(plan.run_dir).inputs
    pairs = [(_opened(pair.image), _opened(pair.labels), pair.role) for pair in plan.pairs]
    for volume in (volume for *pair, _role in pairs for volume in pair):
        if _identify(volume) not in located:
            located[_identify(volume)] = locate(volume, check=check)
    pairs = [
        (located[_identify(image)], located[_identify(labels)], role)
        for image, labels, role in pairs
    ]
    plan.notes = [volume.note for volume in located.values() if volume.note]
    plan.notes += [pair.note for pair in plan.pairs if pair.note]
    for number, (image, labels, role) in enumerate(pairs):
        planned = plan.pairs[number]
        if image.shape != labels.shape:
            raise DataError(
                f"The volume {image.name!r} has {_by(image.shape)} voxels and its labels "
                f"{labels.name!r} have {_by(labels.shape)}; they must be the same.",
                field="data.train",
            )
        entry: dict[str, Any] = {"role": role}
        if planned.roi is not None:
            _require_inside(planned.roi, image, planned.number)
            entry["roi"] = to_ranges(planned.roi)
        for what, volume in (("image", image), ("labels", labels)):
            path = volume.file or targets.get(id(volume))
            if path is None:
                target = inputs / f"{what}_{number}.zarr"
                exports.append((_with_spacing_of(image, volume), target))
                path = targets[id(volume)] = str(target.resolve())
            entry[what] = path
        if planned.image_layer is not None:
            plan.image_layers[entry["image"]] = planned.image_layer
        if planned.labels_layer is not None and labels.is_labels:
            plan.label_layers[entry["labels"]] = planned.labels_layer
        entries.append(entry)
    spacing = _common_spacing(pairs) if not many else None
    if spacing is None:  # then each volume says its own
        for entry, (image, _labels, _role) in zip(entries, pairs, strict=True):
            if image.spacing_known:
                entry["spacing"] = image.spacing
    train = [_without_role(entry) for entry in entries if entry["role"] == "train"]
    validation = [_without_role(entry) for entry in entries if entry["role"] == "validation"]
    for listed in many:
        train += listed.train
        validation += listed.validation
    if not train:
        raise DataError("At least one pair must be for training.", field="data.train")
    if plan.box is not None:
        used = plan.pairs[0].roi or whole_box(pairs[0][0].shape)
        beside = largest_box_beside(used, plan.box)
        if beside is None:
            raise ConfigError(
                "The validation box leaves no part of the volume to train on; make it smaller.",
                field="data.validation",
            )
        validation = [{**train[0], "roi": to_ranges(plan.box)}]
        train[0] = {**train[0], "roi": to_ranges(beside)}
    experiment = build_form_experiment(
        plan.form,
        train,
        validation,
        spacing=spacing,
    )
    require_consent([volume for volume, _ in exports], inputs, ask)
    folder = RunFolder(plan.run_dir).make()

    def report(share: float) -> None:
        check()
        progress(share)

    try:
        write_copies(exports, report)
        layers = {**plan.image_layers, **plan.label_layers}
        write_layer_notes(
            plan.run_dir,
            {path: plan.places[id(one)] for path, one in layers.items() if id(one) in plan.places},
        )
        if plan.center is not None:
            size = experiment.preview.size
            append_command(
                folder.commands_path,
                SetPreview(image=entries[0]["image"], center=plan.center, size=size),
            )
        check()
        # Last, since it makes the folder a run: nobody finds one without its volumes.
        folder.write_experiment(experiment)
        if plan.form.launcher:
            launch(plan.run_dir, device=plan.form.device, launcher=plan.form.launcher)
            _cancel_if_asked(plan.run_dir, check)
        else:
            launch(plan.run_dir, device=plan.form.device)
    except BaseException:
        shutil.rmtree(plan.run_dir, ignore_errors=True)
        raise
    return plan


def _cancel_if_asked(run_dir: Path, check: Callable[[], None]) -> None:
    """Take a job out of the queue that was handed over while the person gave up the start."""
    try:
        check()
    except CancelledError:
        cancel_job(run_dir)()
        raise


def _identify(volume: LayerVolume) -> Hashable:
    """Return what is the same for two layers of which one copy is enough.

    Labels that share their memory with an image are a volume of their own, which takes strokes.
    """
    place = volume.spacing, volume.units, volume.spacing_known, volume.translate
    return id(volume.data), volume.is_labels, place


def _require_inside(roi: Box, volume: LayerVolume, number: int) -> None:
    if not contains_box(whole_box(volume.shape), roi):
        shown = ", ".join(f"{start}:{stop}" for start, stop in to_ranges(roi))
        raise ConfigError(
            f"The box {shown} reaches beyond the volume {volume.name!r}, which has "
            f"{_by(volume.shape)} voxels.",
            field=f"data.train.{number}.roi",
        )


def _without_role(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "role"}


def _opened(volume: LayerVolume | str) -> LayerVolume:
    """Open what is still a path; waits for the disk."""
    if not isinstance(volume, str):
        return volume
    try:
        return take_file(volume)
    except SurfsegError as error:
        error.field = error.field or "data.train"
        raise


def _with_spacing_of(image: LayerVolume, volume: LayerVolume) -> LayerVolume:
    """Give labels of which no voxel size is known that of their image."""
    if volume.spacing_known or not image.spacing_known:
        return volume
    return volume.placed_like(image)


def _common_spacing(
    pairs: list[tuple[LayerVolume, LayerVolume, str]],
) -> Spacing3 | None:
    """Return the voxel size of the volumes, as lengths; None where they do not all say one.

    Each says its own then: the run resamples what differs, and says of what is not known.
    """
    known = [image for image, _labels, _role in pairs if image.spacing_known]
    for image in known[1:]:
        ratios = compare_sizes(known[0].spacing, known[0].units, image.spacing, image.units)
        if any(abs(ratio - 1) > RUN_SPACING_TOLERANCE for ratio in ratios):
            return None
    return known[0].spacing if known and len(known) == len(pairs) else None


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
