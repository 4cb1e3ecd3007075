"""The volumes and labels of a run as layers: remembered in its folder, found again, opened again.

::

    inputs/labels_0.zarr    the run's own copy of a layer
    inputs/layers.json      what each layer was called and where it lay
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_surfseg.config import ValidationSlab
from napari_surfseg.config_files import relate_path, resolve_path
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.geometry import from_ranges
from napari_surfseg.gui.layers.colormaps import build_strokes_colormap
from napari_surfseg.gui.layers.layer_data import read_layer_data
from napari_surfseg.gui.layers.layer_volume import is_volume, take_file
from napari_surfseg.gui.layers.metadata import file_of
from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.gui.layers.layer_data import LayerData
    from napari_surfseg.gui.run_session.session import Session

__all__ = [
    "OpenedVolume",
    "RunLayers",
    "describe_layer",
    "find_layer",
    "open_volumes",
    "read_run_layers",
    "write_layer_notes",
]


@dataclass(frozen=True)
class RunLayers:
    """What a run learns from, as its folder says it.

    Attributes
    ----------
    pairs : tuple of (str, str)
        Paths of each image and its labels, as in the configuration; training first.
    copies : tuple of str
        Those of the labels that are the run's own and take strokes.
    meanings : dict
        Label value to meaning.
    notes : dict
        Name and place of the layers that the run was started from, by path.
    spacings : dict
        Z, Y, X voxel size that replaces that of a file, by path.
    """

    pairs: tuple[tuple[str, str], ...]
    copies: tuple[str, ...]
    meanings: dict[int, str]
    notes: dict[str, dict[str, Any]]
    spacings: dict[str, Spacing3] = field(default_factory=dict)

    @property
    def images(self) -> tuple[str, ...]:
        """Path of every image, once."""
        return tuple(dict.fromkeys(image for image, _ in self.pairs))

    @property
    def labels(self) -> tuple[str, ...]:
        """Path of all labels, once."""
        return tuple(dict.fromkeys(labels for _, labels in self.pairs))


def describe_layer(layer: Layer) -> dict[str, Any]:
    """Return a layer's name and place as plain values; in the window's thread."""
    noted = layer.metadata.get("surfseg_region")
    return {
        **({"region": noted} if noted else {}),
        "name": layer.name,
        "scale": np.asarray(layer.scale).tolist(),
        "translate": np.asarray(layer.translate).tolist(),
        "rotate": np.asarray(layer.rotate).tolist(),
        "shear": np.asarray(layer.shear).tolist(),
        "affine": np.asarray(layer.affine.affine_matrix).tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
    }


def write_layer_notes(run_dir: Path, notes: Mapping[str, dict[str, Any]]) -> None:
    """Write what :func:`describe_layer` said of each layer, by path, into the run folder.

    Raises
    ------
    OutputError
        If the disk does not take it.
    """
    path = RunFolder(run_dir).inputs / "layers.json"
    related = {relate_path(source, run_dir): note for source, note in notes.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside:
            aside.write_text(json.dumps(related, indent=1), encoding="utf-8")
    except OSError as error:
        raise explain_write_error(path, error) from None


def read_run_layers(run_dir: Path) -> RunLayers:
    """Read what a run learns from.

    Raises
    ------
    SurfsegError
        If the folder holds no run.
    """
    folder = RunFolder(run_dir)
    data = folder.read_experiment().data
    validation = [] if isinstance(data.validation, ValidationSlab) else list(data.validation)
    listed = (*data.train, *validation)
    pairs = tuple((pair.image, pair.labels) for pair in listed)
    spacings = {
        path: spacing
        for pair in listed
        for path in (pair.image, pair.labels)
        if (spacing := pair.spacing or data.spacing) is not None
    }
    labels = dict.fromkeys(labels for _, labels in pairs)
    inputs = folder.inputs.resolve()
    meanings = {
        value: meaning
        for meaning in ("foreground", "background", "ignore")
        for value in getattr(data.labels, meaning)
    }
    try:
        notes = json.loads((folder.inputs / "layers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        notes = {}
    return RunLayers(
        pairs=pairs,
        copies=tuple(path for path in labels if Path(path).resolve().parent == inputs),
        meanings=meanings,
        notes={resolve_path(path, folder.path): note for path, note in notes.items()}
        if isinstance(notes, dict)
        else {},
        spacings=spacings,
    )


def find_layer(viewer: ViewerModel, session: Session, path: str) -> Layer | None:
    """Find the layer that shows a volume or labels: as linked, or opened from that very file."""
    linked = session.layer_of(path)
    for layer in viewer.layers:
        if layer is linked:
            return layer
    for layer in viewer.layers:
        file = file_of(layer) or ""
        whole = path.partition("::")[0].rstrip("/")
        is_shown = file == path or file.rstrip("/") == whole
        if is_shown and isinstance(layer, Image | Labels) and is_volume(layer):
            return layer
    return None


@dataclass(frozen=True, eq=False)
class OpenedVolume:
    """A volume of a run, ready to become a layer.

    Attributes
    ----------
    path : str
        As in the configuration.
    layer_data : tuple
        Data, options and kind of the layer.
    seen_from : int, optional
        Of labels, the slice along Z with most on it.
    """

    path: str
    layer_data: LayerData
    seen_from: int | None = None

    def build(self) -> Layer:
        """Make the layer; in the window's thread."""
        return Layer.create(*self.layer_data)


def open_volumes(found: RunLayers, paths: Sequence[str]) -> list[OpenedVolume]:
    """Open volumes and labels of a run; waits for the disk.

    Labels come into memory, so that the run's own copy changes only when strokes are
    taken into it.

    Raises
    ------
    DataError
        If one cannot be opened.
    """
    opened = []
    for path in paths:
        is_labels = path in found.labels
        note = found.notes.get(path, {})
        name = str(note.get("name") or Path(path.rstrip("/")).stem)
        content = "labels" if is_labels else "image"
        region = note.get("region")
        if is_labels and region:
            data, about, kind = _read_region(path, name, region)
        else:
            data, about, kind = read_layer_data(
                path, content=content, name=name, in_memory=is_labels
            )
        if is_labels:
            about |= {"colormap": build_strokes_colormap(), "opacity": 0.85}
            about["metadata"]["surfseg_labels"] = dict(found.meanings)
        if note:
            about |= {key: value for key, value in note.items() if key not in {"name", "region"}}
        elif path in found.spacings and not np.allclose(found.spacings[path], about["scale"]):
            # The run uses another voxel size than the file's, so the file's unit does not apply.
            about["scale"] = found.spacings[path]
            about.pop("units", None)
        fullest = None
        if is_labels:
            counts = [int(np.count_nonzero(plane)) for plane in data]
            fullest = int(np.argmax(counts))
        opened.append(OpenedVolume(path, (data, about, kind), fullest))
    return opened


def _read_region(path: str, name: str, region: dict[str, Any]) -> LayerData:
    """Read the part of a run's labels that the layer they came from covered."""
    data = take_file(path).read(*from_ranges(region["box"]))
    about = {"name": name, "metadata": {"surfseg_file": path, "surfseg_region": region}}
    return data, about, "labels"
