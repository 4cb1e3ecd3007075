"""The volumes and labels of a run as layers: remembered in its folder, found again, opened again.

::

    inputs/labels_0.zarr    the run's own copy of a layer
    inputs/layers.json      what each layer was called and where it lay
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_surfseg.config import ValidationSlab
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.gui.layer_boxes import find_stored_boxes
from napari_surfseg.gui.painting import build_strokes_colormap
from napari_surfseg.gui.sources import take_file
from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.session import Session

__all__ = [
    "OpenedVolume",
    "RunLayers",
    "describe_layer",
    "find_layer",
    "open_volumes",
    "read_run_layers",
    "write_layer_notes",
]

#: Below this an image is read at once, above as it is looked at.
IN_MEMORY_BYTES = 512_000_000


@dataclass(frozen=True)
class RunLayers:
    """What a run learns from, as its folder says it.

    Attributes
    ----------
    images, labels : tuple of str
        Paths, as in the configuration.
    copies : tuple of str
        Those of the labels that are the run's own and take strokes.
    meanings : dict
        Label value to meaning.
    notes : dict
        Name and place of the layers that the run was started from, by path.
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    copies: tuple[str, ...]
    meanings: dict[int, str]
    notes: dict[str, dict[str, Any]]


def describe_layer(layer: Layer) -> dict[str, Any]:
    """Return a layer's name and place as plain values; in the window's thread."""
    return {
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside:
            aside.write_text(json.dumps(notes, indent=1), encoding="utf-8")
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
    pairs = [*data.train, *validation]
    labels = tuple(dict.fromkeys(pair.labels for pair in pairs))
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
        images=tuple(dict.fromkeys(pair.image for pair in pairs)),
        labels=labels,
        copies=tuple(path for path in labels if Path(path).resolve().parent == inputs),
        meanings=meanings,
        notes=notes if isinstance(notes, dict) else {},
    )


def find_layer(viewer: ViewerModel, session: Session, path: str) -> Layer | None:
    """Find the layer that shows a volume or labels: as linked, or opened from that very file."""
    linked = session.layer_of(path)
    for layer in viewer.layers:
        if layer is linked:
            return layer
    for layer in viewer.layers:
        source = str(layer.source.path or "").rstrip("/")
        if source and source == path.partition("::")[0].rstrip("/") and layer.ndim == 3:
            return layer
    return None


@dataclass(frozen=True, eq=False)
class OpenedVolume:
    """A volume of a run, ready to become a layer."""

    path: str
    data: Any
    name: str
    place: dict[str, Any]
    is_labels: bool
    meanings: dict[int, str]

    def build(self) -> Layer:
        """Make the layer; in the window's thread."""
        if not self.is_labels:
            return Image(self.data, name=self.name, **self.place)
        return Labels(
            self.data,
            name=self.name,
            colormap=build_strokes_colormap(),
            opacity=0.85,
            metadata={"surfseg_labels": dict(self.meanings)},
            **self.place,
        )


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
        volume = take_file(path)
        is_labels = path in found.labels
        note = found.notes.get(path, {})
        place = {key: value for key, value in note.items() if key != "name"}
        data: Any
        if is_labels:
            data = np.zeros(volume.shape, volume.dtype)
            for start, stop in find_stored_boxes(volume):
                box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
                data[box] = volume.read(start, stop)
        elif np.prod(volume.shape) * volume.dtype.itemsize <= IN_MEMORY_BYTES:
            data = volume.read((0, 0, 0), volume.shape)
        else:
            import dask.array

            data = dask.array.from_array(volume.data, chunks=(256,) * 3)
        opened.append(
            OpenedVolume(
                path=path,
                data=data,
                name=str(note.get("name") or Path(path.rstrip("/")).stem),
                place=place or {"scale": volume.spacing},
                is_labels=is_labels,
                meanings=found.meanings,
            )
        )
    return opened
