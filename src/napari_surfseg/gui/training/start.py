"""What Start will do: settled from the form, then carried out in a thread."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import ConfigError, DataError, SurfsegError
from napari_surfseg.events import SetPreview, append_command
from napari_surfseg.gui.layers.copies import require_consent, write_copies
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.gui.run_session.run_layers import write_layer_notes
from napari_surfseg.gui.training.form import (
    TrainingForm,
    build_form_experiment,
    largest_box_beside,
    nest_settings,
)
from napari_surfseg.model.presets import (
    check_patch_size,
    count_parameters,
    estimate_training_bytes,
    resolve_architecture,
)
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.standby import launch_prepared
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.layers import Layer

    from napari_surfseg.config import Model
    from napari_surfseg.gui.layers.label_regions import Box


__all__ = ["Plan", "PlannedPair", "describe_network", "execute_plan", "read_model"]


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
    """

    image: LayerVolume | str
    labels: LayerVolume | str
    role: str = "train"
    image_layer: Layer | None = None
    labels_layer: Layer | None = None
    roi: Box | None = None
    number: int = 0


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
    center: tuple[int, int, int] | None = None
    places: dict[int, dict[str, Any]] = field(default_factory=dict)
    image_layers: dict[str, Layer] = field(default_factory=dict)
    label_layers: dict[str, Layer] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_model(form: TrainingForm) -> Model:
    """Read what the form says of the network.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    settings = {key: value for key, value in form.settings.items() if key.startswith("model.")}
    return build_experiment(nest_settings(settings), source="the form").model


def describe_network(form: TrainingForm, *, available_bytes: int | None = None) -> str:
    """Say how large the network is and what a step of training will need.

    Raises
    ------
    ConfigError
        Where the patch does not fit the network.
    """
    device = "cuda" if form.device == "cuda" else "cpu"
    architecture = resolve_architecture(read_model(form), device=device)
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
    launch: Callable[..., int] = launch_prepared,
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
        Told the share of the copying that is done.
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
    located: dict[int, LayerVolume] = {}
    targets: dict[int, str] = {}
    entries: list[dict[str, Any]] = []
    exports: list[tuple[LayerVolume, Path]] = []
    inputs = RunFolder(plan.run_dir).inputs
    pairs = [(_opened(pair.image), _opened(pair.labels), pair.role) for pair in plan.pairs]
    for volume in (volume for *pair, _role in pairs for volume in pair):
        if id(volume.data) not in located:
            located[id(volume.data)] = locate(volume, check=check)
    pairs = [
        (located[id(image.data)], located[id(labels.data)], role) for image, labels, role in pairs
    ]
    plan.notes = [volume.note for volume in located.values() if volume.note]
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
            entry["roi"] = planned.roi
        for what, volume in (("image", image), ("labels", labels)):
            path = volume.file or targets.get(id(volume.data))
            if path is None:
                target = inputs / f"{what}_{number}.zarr"
                exports.append((_with_spacing_of(image, volume), target))
                path = targets[id(volume.data)] = str(target.resolve())
            entry[what] = path
        if planned.image_layer is not None:
            plan.image_layers[entry["image"]] = planned.image_layer
        if planned.labels_layer is not None and labels.is_labels:
            plan.label_layers[entry["labels"]] = planned.labels_layer
        entries.append(entry)
    train = [_without_role(entry) for entry in entries if entry["role"] == "train"]
    validation = [_without_role(entry) for entry in entries if entry["role"] == "validation"]
    if plan.box is not None:
        beside = _find_box_beside(pairs[0][0].shape, plan.pairs[0].roi, plan.box)
        if beside is None:
            raise ConfigError(
                "The validation box leaves no part of the volume to train on; make it smaller.",
                field="data.validation",
            )
        validation = [{**train[0], "roi": plan.box}]
        train[0] = {**train[0], "roi": beside}
    experiment = build_form_experiment(
        plan.form,
        train,
        validation,
        spacing=_common_spacing(pairs),
    )
    require_consent([volume for volume, _ in exports], inputs, ask)
    folder = RunFolder(plan.run_dir).create(experiment)

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
        launch(plan.run_dir, device=plan.form.device)
    except BaseException:
        shutil.rmtree(plan.run_dir, ignore_errors=True)
        raise
    return plan


def _require_inside(roi: Box, volume: LayerVolume, number: int) -> None:
    if any(stop > size for (_start, stop), size in zip(roi, volume.shape, strict=True)):
        shown = ", ".join(f"{start}:{stop}" for start, stop in roi)
        raise ConfigError(
            f"The box {shown} reaches beyond the volume {volume.name!r}, which has "
            f"{_by(volume.shape)} voxels.",
            field=f"data.train.{number}.roi",
        )


def _find_box_beside(shape: tuple[int, ...], roi: Box | None, box: Box) -> Box | None:
    """Find what is left for training beside the validation box, in the part that is used."""
    z, y, x = roi or [(0, size) for size in shape]
    starts = (z[0], y[0], x[0])
    sizes = (z[1] - z[0], y[1] - y[0], x[1] - x[0])
    inside = [
        (min(max(a - start, 0), size), min(max(b - start, 0), size))
        for (a, b), start, size in zip(box, starts, sizes, strict=True)
    ]
    found = largest_box_beside(sizes, (inside[0], inside[1], inside[2]))
    if found is None:
        return None
    edges = [(a + start, b + start) for (a, b), start in zip(found, starts, strict=True)]
    return edges[0], edges[1], edges[2]


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
) -> tuple[float, float, float] | None:
    """Return the volumes' voxel size where it is known of all of them, and the same."""
    spacings = {image.spacing for image, _labels, _role in pairs}
    is_known = all(image.spacing_known for image, _labels, _role in pairs)
    return spacings.pop() if is_known and len(spacings) == 1 else None


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
