"""Readers: a run folder as layers, a checkpoint as a short text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import CheckpointError, RunError
from napari_surfseg.events import DataChecked, PreviewWritten, read_events
from napari_surfseg.gui.curve_data import CurveStore
from napari_surfseg.gui.feed import load_preview
from napari_surfseg.gui.live import build_probability_colormap, build_skeleton_colormap
from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["get_checkpoint_reader", "get_run_reader", "read_checkpoint", "read_run"]

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


def read_run(path: str) -> list[LayerData]:
    """Read a run folder: its newest prediction and skeleton, and its curves.

    Raises
    ------
    RunError
        If the run has nothing to show yet.
    """
    run_dir = _run_folder(path)
    events = read_events(RunFolder(run_dir).events_path)
    rows: dict[str, dict[str, Any]] = {}
    for event in events:
        if isinstance(event, DataChecked):
            rows = {str(row.get("image")): row for row in event.volumes}
    layers: list[LayerData] = []
    previews = [event for event in events if isinstance(event, PreviewWritten)]
    for event in reversed(previews):
        preview = load_preview(run_dir, event)
        if preview is None:
            continue
        scale = np.asarray(rows.get(preview.image, {}).get("spacing", (1, 1, 1)), float)
        place = {
            "scale": scale,
            "translate": scale * np.asarray(preview.origin),
            "axis_labels": ("z", "y", "x"),
            "metadata": {"surfseg": "run", "run": str(run_dir)},
        }
        layers += [
            (
                preview.probabilities,
                {
                    "name": f"{run_dir.name} prediction",
                    "contrast_limits": (0, 255),
                    "colormap": build_probability_colormap(),
                    "blending": "translucent",
                    **place,
                },
                "image",
            ),
            (
                preview.skeleton,
                {
                    "name": f"{run_dir.name} skeleton",
                    "colormap": build_skeleton_colormap(),
                    **place,
                },
                "labels",
            ),
        ]
        break
    store = CurveStore()
    store.extend(events)
    layers += _curves(store, run_dir.name)
    if not layers:
        raise RunError(f"The run {run_dir} has no prediction and no curve yet.")
    return layers


def _curves(store: CurveStore, run: str) -> list[LayerData]:
    from napari_surfseg.gui.curves import build_curve_shapes

    shown = [curve for curve in store.ordered() if len(curve) > 1]
    return [layer.as_layer_data_tuple() for layer in build_curve_shapes(shown, run=run)]


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
