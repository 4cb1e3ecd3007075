"""Readers of runs, of volumes and labels that the plugin wrote, of meshes and of checkpoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_warning

from napari_surfseg.errors import CheckpointError, RunError, SurfsegError
from napari_surfseg.events import PreviewWritten, read_events
from napari_surfseg.gui.layers.colormaps import build_probability_colormap
from napari_surfseg.gui.layers.layer_data import (
    NOTES_KEY,
    read_grid_data,
    read_layer_data,
    read_mesh_data,
)
from napari_surfseg.gui.layers.placement import compute_placement, place_of
from napari_surfseg.gui.run_session.previews import load_preview
from napari_surfseg.gui.run_session.run_layers import open_volumes, read_run_layers
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.surfaces.mesh_writing import MESH_SUFFIXES
from napari_surfseg.surfaces.tifxyz import is_tifxyz

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_surfseg.gui.layers.layer_data import LayerData
    from napari_surfseg.gui.run_session.previews import LivePreview
    from napari_surfseg.gui.run_session.run_layers import RunLayers

__all__ = [
    "get_checkpoint_reader",
    "get_grid_reader",
    "get_mesh_reader",
    "get_run_reader",
    "get_volume_reader",
    "read_checkpoint",
    "read_grid_layer",
    "read_mesh_layer",
    "read_run",
    "read_volume_layer",
]


def get_run_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if the path is a run folder, or the ``config.yaml`` in one."""
    if isinstance(path, list) or not RunFolder(_run_folder(path)).exists():
        return None
    return read_run


def _run_folder(path: str) -> Path:
    found = Path(path)
    return found.parent if found.name == "config.yaml" else found


def get_checkpoint_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if the path is a checkpoint."""
    if isinstance(path, list) or not str(path).endswith(".pt"):
        return None
    return read_checkpoint


def get_volume_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader of volumes; the manifest says for which names it is asked."""
    return None if isinstance(path, list) else read_volume_layer


def get_mesh_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if the path is a mesh."""
    if isinstance(path, list) or Path(path).suffix.lower() not in MESH_SUFFIXES:
        return None
    return read_mesh_layer


def get_grid_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if the path is a tifxyz folder, or the ``meta.json`` in one."""
    if isinstance(path, list) or not is_tifxyz(_grid_folder(path)):
        return None
    return read_grid_layer


def _grid_folder(path: str) -> Path:
    found = Path(path)
    return found.parent if found.name == "meta.json" else found


def read_grid_layer(path: str) -> list[LayerData]:
    """Read an ordered grid of points as a surface, in place.

    Raises
    ------
    DataError
        If its files do not belong together.
    """
    return [read_grid_data(str(_grid_folder(path)))]


def read_volume_layer(path: str) -> list[LayerData]:
    """Read a volume in place: labels as labels, probabilities in their colours.

    What of the file was left out is shown as a warning.

    Raises
    ------
    DataError
        If it cannot be opened as a volume.
    """
    layer = read_layer_data(path)
    for note in layer[1]["metadata"].get(NOTES_KEY, ()):
        show_warning(note)
    return [layer]


def read_mesh_layer(path: str) -> list[LayerData]:
    """Read a mesh: X, Y, Z of the file become napari's Z, Y, X.

    Raises
    ------
    DataError
        If it is no readable mesh.
    """
    return [read_mesh_data(path)]


def read_run(path: str) -> list[LayerData]:
    """Read a run folder: its first volume, the labels it learns from, its newest prediction.

    Raises
    ------
    RunError
        If none of them is there.
    """
    run_dir = _run_folder(path)
    run = read_run_layers(run_dir)
    preview = _load_newest_preview(run_dir)
    shown = [pair for pair in run.pairs if preview is not None and pair[0] == preview.image]
    images, labels = zip(*(shown or run.pairs)[:1], strict=True) if run.pairs else ((), ())
    image_data = _open_if_there(run, images)
    layers = image_data + _open_if_there(run, labels)
    if preview is not None:
        place = (
            image_data[0][1]
            if image_data
            else place_of(run.spacings.get(preview.image, (1.0, 1.0, 1.0)))
        )
        # Under the labels, which are painted on.
        layers.insert(len(image_data), _show_preview(preview, place, run_dir))
    if not layers:
        raise RunError(f"The run {run_dir} has no prediction yet, and its volumes are not found.")
    return layers


def _load_newest_preview(run_dir: Path) -> LivePreview | None:
    for event in reversed(read_events(RunFolder(run_dir).events_path)):
        if isinstance(event, PreviewWritten):
            preview = load_preview(run_dir, event)
            if preview is not None:
                return preview
    return None


def _show_preview(preview: LivePreview, place: dict[str, Any], run_dir: Path) -> LayerData:
    kept = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    source = Image(np.zeros((1, 1, 1)), **{key: place[key] for key in kept if key in place})
    about: dict[str, Any] = {
        **compute_placement(source, preview.origin),
        "name": f"{run_dir.name} prediction",
        "contrast_limits": (0, 255),
        "colormap": build_probability_colormap(),
        "blending": "translucent",
        "metadata": {"surfseg": "run", "run": str(run_dir)},
    }
    return preview.probabilities, about, "image"


def _open_if_there(run: RunLayers, paths: Sequence[str]) -> list[LayerData]:
    try:
        return [volume.layer_data for volume in open_volumes(run, paths)]
    except SurfsegError:
        return []


def read_checkpoint(path: str) -> list[LayerData]:
    """Read the summary beside a checkpoint and show it as a text in a Points layer.

    The weights stay unread: that needs torch, which this process does not load.

    Raises
    ------
    CheckpointError
        If there is no summary beside it.
    """
    file = Path(path)
    try:
        summary = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CheckpointError(
            f"{file} has no summary {file.with_suffix('.json').name} beside it; the two are "
            "written together and belong together."
        ) from None
    text = "\n".join([file.name, *_summarize(summary)])
    return [
        (
            np.zeros((1, 2)),
            {
                "name": f"{file.name} ({summary.get('name', 'checkpoint')})",
                "features": {"summary": [text]},
                "text": {
                    "string": "{summary}",
                    "size": 12,
                    "anchor": "upper_left",
                    "color": "#e8a33d",
                },
                "size": 1,
                "face_color": "transparent",
                "border_color": "transparent",
                "metadata": {"surfseg": "checkpoint", "checkpoint": str(file), **summary},
            },
            "points",
        )
    ]


def _summarize(summary: dict[str, Any]) -> list[str]:
    lines = []
    parameters = summary.get("num_parameters")
    size = f" with {parameters / 1e6:.2g} million parameters" if parameters else ""
    lines.append(f"network {summary.get('model', '?')}{size}")
    lines.append(f"epoch {summary.get('epoch', '?')}, step {summary.get('step', '?')}")
    patch = " × ".join(map(str, summary.get("patch_size", [])))
    lines.append(f"patch {patch} voxels, threshold {summary.get('threshold', '?')}")
    lines += [
        f"{name.replace('_', ' ')} {value:.3f}"
        for name, value in summary.get("metrics", {}).items()
        if isinstance(value, int | float)
    ]
    return lines
