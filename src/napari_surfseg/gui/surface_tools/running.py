"""A tool run on layers or files, in a process of its own.

A result that fits is loaded and nothing of it stays on the disk. What does not, and a folder of
files, is written into the folder for results and opened where it lies. Until it is finished it
lies in a hidden folder there, which goes with a job that is cancelled.
"""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import OutputError
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
from napari_surfseg.gui.layers.colormaps import build_dense_colormap
from napari_surfseg.gui.layers.copies import hand_over_all
from napari_surfseg.gui.layers.layer_data import (
    IN_MEMORY_BYTES,
    find_levels,
    read_grid_data,
    read_layer_data,
    read_mesh_data,
)
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.runs.folder import find_new_run_path
from napari_surfseg.surface_tools.files import ToolRun
from napari_surfseg.surfaces.mesh_writing import MESH_SUFFIXES
from napari_surfseg.surfaces.tifxyz import GRID_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.gui.layers.layer_data import LayerData
    from napari_surfseg.gui.layers.layer_volume import LayerVolume
    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.results import Table
    from napari_surfseg.surfaces.mesh_reading import MeshFile

__all__ = ["ToolRequest", "ToolResult", "run_layer_tool"]

RESULT_NAMES = {
    "labels": "result.npy",
    "mesh": "result.ply",
    "table": "result.csv",
    "folder": "all",
}

#: A voxel of a result takes at most so many bytes.
VOXEL_BYTES = 4


@dataclass(frozen=True)
class ToolRequest:
    """What a person asks for.

    Attributes
    ----------
    tool : Tool
        Which.
    settings : dict
        Of the tool.
    threshold : float
        Where probabilities are cut.
    folder : str
        Where results go that are not loaded.
    left_out : dict
        Of inputs, values that mean no surface.
    """

    tool: Tool
    settings: dict[str, Any]
    threshold: float = 0.5
    folder: str = ""
    left_out: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ToolResult:
    """What a finished tool gave.

    Attributes
    ----------
    source : LayerVolume, optional
        The volume it was made from.
    labels : array, optional
        Where that is what comes out; a large one is read as it is looked at, and has levels.
    mesh : MeshFile, optional
        Its vertices in voxels.
    table : list of dict
        Rows.
    units : dict
        Of columns of the table.
    opened : list
        Layers of files that were written.
    path : Path, optional
        Where the result lies, if it stays on the disk.
    notes : list of str
        Sentences for the person.
    """

    source: LayerVolume | None
    labels: Any = None
    mesh: MeshFile | None = None
    table: Table = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    opened: list[LayerData] = field(default_factory=list)
    path: Path | None = None
    notes: list[str] = field(default_factory=list)


def run_layer_tool(
    request: ToolRequest, volumes: Mapping[str, LayerVolume | str], process: JobProcess
) -> ToolResult:
    """Run a tool to its end and load its result; waits for the disk and the process.

    Parameters
    ----------
    request : ToolRequest
        What to do.
    volumes : mapping
        Of each input a volume, or the path of its file.
    process : JobProcess
        Reports the stages, and asks before a large layer is copied.

    Raises
    ------
    SurfsegError
        With ``field`` the input or the setting it is about, where it is about one.
    """
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="surfseg_", ignore_cleanup_errors=True)
            )
        )
        taken, paths, names = hand_over_all(volumes, folder, process)
        first = next(iter(taken.values()), None)
        output = folder / RESULT_NAMES[request.tool.result]
        final = _find_final(request, first)
        if final is not None:
            beside = Path(stack.enter_context(_make_hidden(final)))
            output = beside / final.name
        job = ToolRun(
            request.tool.name,
            paths,
            str(output),
            request.settings,
            request.threshold,
            {
                name: "labels" if volume.is_labels else "image"
                for name, volume in taken.items()
                if not isinstance(volumes[name], str)
            },
            request.left_out,
        )
        answer = process.run(write_job(folder, job), names)
        if final is not None:
            output = output.rename(final)
        notes = [*filter(None, (volume.note for volume in taken.values())), *answer["notes"]]
        return _load(request.tool, output, answer, first, notes, is_kept=final is not None)


def _find_final(request: ToolRequest, first: LayerVolume | None) -> Path | None:
    """Find where a result stays on the disk; None where it is loaded."""
    tool = request.tool
    is_large = (
        tool.result == "labels"
        and first is not None
        and math.prod(first.shape) * VOXEL_BYTES > IN_MEMORY_BYTES
    )
    if not is_large and tool.result != "folder":
        return None
    parent = Path(request.folder or ".").expanduser().resolve()
    stem = Path(first.name.rstrip("/")).stem if first is not None else tool.name
    wanted = f"{stem}_{tool.suffix}"
    suffix = ".zarr" if tool.result == "labels" else ""
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {parent} cannot be made: {error.strerror or error}."
        ) from None
    return find_new_run_path(wanted, parent, suffix)


def _make_hidden(final: Path) -> Any:
    try:
        return tempfile.TemporaryDirectory(
            prefix=".surfseg_", dir=final.parent, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise OutputError(
            f"Nothing can be written into {final.parent}: {error.strerror or error}."
        ) from None


def _load(
    tool: Tool,
    output: Path,
    answer: dict[str, Any],
    first: LayerVolume | None,
    notes: list[str],
    *,
    is_kept: bool,
) -> ToolResult:
    path = output if is_kept else None
    table, units = answer.get("table", []), answer.get("units", {})
    if tool.result == "labels":
        if not is_kept:
            return ToolResult(first, np.load(output, allow_pickle=False), notes=notes)
        data, _, _ = read_layer_data(str(output), content="labels")
        levels = [] if isinstance(data, np.ndarray) else find_levels(str(output), data.shape)
        return ToolResult(first, [data, *levels] if levels else data, path=path, notes=notes)
    if tool.result == "mesh":
        return ToolResult(first, mesh=_read_mesh(output, answer), notes=notes)
    opened = [_open(output / name, answer) for name in answer.get("opened", [])]
    return ToolResult(first, table=table, units=units, opened=opened, path=path, notes=notes)


def _open(path: Path, answer: dict[str, Any]) -> LayerData:
    """Open a file of a folder; a surface in the voxels of the volume, as :func:`_read_mesh`."""
    suffix = path.suffix.lower()
    if suffix == GRID_SUFFIX:
        return read_grid_data(str(path))
    if suffix not in MESH_SUFFIXES:
        data, about, kind = read_layer_data(str(path))
        about |= {"name": path.stem, "visible": path.name not in answer.get("hidden", [])}
        if path.name in answer.get("annotated", []):
            about["metadata"] = {
                **about.get("metadata", {}),
                "surfseg_labels": LABEL_SCHEMES["dense"],
            }
            about["colormap"] = build_dense_colormap()
        return data, about, kind
    (vertices, *others), about, kind = read_mesh_data(str(path))
    if "spacing" in answer:
        spacing, translate = np.asarray(answer["spacing"]), np.asarray(answer["translate"])
        vertices = (vertices - translate) / spacing
        about |= {"scale": spacing, "translate": translate}
    return (vertices, *others), about, kind


def _read_mesh(path: Path, answer: dict[str, Any]) -> MeshFile:
    """Read a mesh; its vertices in voxels, so that it lies over any layer of the volume."""
    from napari_surfseg.surfaces.mesh_reading import read_mesh_file

    mesh = read_mesh_file(path)
    spacing = np.asarray(answer.get("spacing", (1.0, 1.0, 1.0)))
    translate = np.asarray(answer.get("translate", (0.0, 0.0, 0.0)))
    return mesh._replace(vertices=(mesh.vertices - translate) / spacing)
