"""Readers: runs, volumes and labels of ours, meshes, and a checkpoint as a short text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import CheckpointError, DataError, RunError, SurfsegError
from napari_surfseg.events import PreviewWritten, read_events
from napari_surfseg.gui.feed import load_preview
from napari_surfseg.gui.live import build_probability_colormap
from napari_surfseg.gui.volume_layers import place_of, read_volume
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.surfaces.mesh_files import MESH_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.config import Experiment
    from napari_surfseg.gui.live import LivePreview

__all__ = [
    "get_checkpoint_reader",
    "get_mesh_reader",
    "get_run_reader",
    "get_volume_reader",
    "read_checkpoint",
    "read_mesh_layer",
    "read_run",
    "read_volume_layer",
]

LayerData = tuple[Any, dict[str, Any], str]


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
    """Return the reader of volumes; which names it is for, the manifest says."""
    return None if isinstance(path, list) else read_volume_layer


def get_mesh_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Return the reader if the path is a mesh."""
    if isinstance(path, list) or Path(path).suffix.lower() not in MESH_SUFFIXES:
        return None
    return read_mesh_layer


def read_volume_layer(path: str) -> list[LayerData]:
    """Read a volume in place: labels as labels, probabilities in their colours.

    Raises
    ------
    DataError
        If it is no volume.
    """
    return [read_volume(path)]


def read_mesh_layer(path: str) -> list[LayerData]:
    """Read a mesh: X, Y, Z of the file become napari's Z, Y, X.

    Raises
    ------
    DataError
        If it is no readable mesh.
    """
    from napari_surfseg.surfaces.mesh_reading import read_mesh

    vertices, faces, units = read_mesh(path)
    if not len(faces):
        raise DataError(f"{path} holds no triangles.")
    about = {
        "name": Path(path).stem,
        "shading": "smooth",
        **place_of((1.0, 1.0, 1.0), units=units),
    }
    return [((vertices, faces), about, "surface")]


def read_run(path: str) -> list[LayerData]:
    """Read a run folder: its first volume, the labels it learns from, its newest prediction.

    Raises
    ------
    RunError
        If none of them is there.
    """
    run_dir = _run_folder(path)
    run = RunFolder(run_dir)
    experiment = run.read_experiment()
    previews = [
        event for event in read_events(run.events_path) if isinstance(event, PreviewWritten)
    ]
    shown = next(
        (found for event in reversed(previews) if (found := load_preview(run_dir, event))), None
    )
    pairs = experiment.data.train
    first = next((pair for pair in pairs if shown and pair.image == shown.image), None)
    pair = first or (pairs[0] if pairs else None)
    layers: list[LayerData] = []
    if pair is not None:
        layers += _read_if_there(pair.image, "image", f"{run_dir.name} image")
        layers += _read_if_there(pair.labels, "labels", f"{run_dir.name} labels")
    for _data, about, kind in layers:
        spacing = experiment.data.spacing
        if spacing is not None and not np.allclose(spacing, about["scale"]):
            # The run went by another voxel size than the file's, whose unit is not that of this.
            about["scale"] = spacing
            about.pop("units", None)
        if kind == "labels":
            about["metadata"]["surfseg_labels"] = _name_meanings(experiment)
    if shown is not None:
        # Under the labels, which are painted on.
        at = sum(kind == "image" for *_, kind in layers)
        spacing = experiment.data.spacing or (1.0, 1.0, 1.0)
        source = layers[0][1] if layers else place_of(spacing)
        layers.insert(at, _show_preview(shown, source, run_dir))
    if not layers:
        raise RunError(f"The run {run_dir} has no prediction yet, and its volumes are not found.")
    return layers


def _load_newest_preview(run: RunFolder) -> LivePreview | None:
    for event in reversed(read_events(run.events_path)):
        if isinstance(event, PreviewWritten):
            preview = load_preview(run.path, event)
            if preview is not None:
                return preview
    return None


def _show_preview(preview: LivePreview, source: dict[str, Any], run_dir: Path) -> LayerData:
    scale = np.asarray(source["scale"], float)
    about: dict[str, Any] = {
        **{key: source[key] for key in ("scale", "units") if key in source},
        "translate": np.asarray(source["translate"], float) + scale * preview.origin,
        "name": f"{run_dir.name} prediction",
        "contrast_limits": (0, 255),
        "colormap": build_probability_colormap(),
        "blending": "translucent",
        "metadata": {"surfseg": "run", "run": str(run_dir)},
    }
    return preview.probabilities, about, "image"


def _read_if_there(path: str, content: str, name: str) -> list[LayerData]:
    try:
        return [read_volume(path, content=content, name=name)]
    except SurfsegError:
        return []


def _name_meanings(experiment: Experiment) -> dict[int, str]:
    labels = experiment.data.labels
    return {
        value: meaning
        for meaning in ("foreground", "background", "ignore")
        for value in getattr(labels, meaning)
    }


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
