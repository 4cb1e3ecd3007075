"""A tool run on layers or files, in a process of its own."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.layers.copies import hand_over
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_file
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.surface_tools.files import ToolRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.gui.background.processes import JobProcess
    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.results import Table

__all__ = ["ToolRequest", "ToolResult", "run_layer_tool"]

RESULT_NAMES = {"labels": "result.npy", "mesh": "result.ply", "table": "result.csv"}


@dataclass(frozen=True)
class ToolRequest:
    """What a person asks for: the tool, its settings, and where probabilities are cut."""

    tool: Tool
    settings: dict[str, Any]
    threshold: float = 0.5


@dataclass(frozen=True, eq=False)
class ToolResult:
    """What a finished tool gave.

    Attributes
    ----------
    source : LayerVolume
        The volume it was made from.
    labels : array, optional
        Where that is what comes out.
    mesh : tuple, optional
        Vertices in voxels (N, 3) and faces.
    table : list of dict
        Rows.
    notes : list of str
        Sentences for the person.
    """

    source: LayerVolume
    labels: NDArray[Any] | None = None
    mesh: tuple[NDArray[Any], NDArray[Any]] | None = None
    table: Table = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run_layer_tool(
    request: ToolRequest, volumes: dict[str, LayerVolume | str], process: JobProcess
) -> ToolResult:
    """Run a tool to its end and load its result; waits for the disk and the process.

    Parameters
    ----------
    request : ToolRequest
        What to do.
    volumes : dict
        Of each input a volume, or the path of its file.
    process : JobProcess
        Reports the stages, and asks before a large layer is copied.

    Raises
    ------
    SurfsegError
        With ``field`` the input or the setting it is about, where it is about one.
    """
    taken: dict[str, LayerVolume] = {}
    for name, volume in volumes.items():
        try:
            taken[name] = take_file(volume) if isinstance(volume, str) else volume
        except SurfsegError as error:
            error.field = name
            raise
    first = next(iter(taken.values()))
    with tempfile.TemporaryDirectory(prefix="surfseg_", ignore_cleanup_errors=True) as folder:
        paths = {}
        for name, volume in taken.items():
            _, paths[name] = hand_over(
                volume,
                Path(folder) / f"{name}.zarr",
                ask=process.ask,
                progress=partial(process.report, f"copying the {name}"),
                check=process.check_cancelled,
            )
        output = Path(folder) / RESULT_NAMES[request.tool.result]
        job = ToolRun(request.tool.name, paths, str(output), request.settings, request.threshold)
        names = {
            paths[name]: volume.name
            for name, volume in volumes.items()
            if isinstance(volume, LayerVolume)
        }
        answer = process.run(write_job(Path(folder), job), names)
        notes = [*filter(None, (volume.note for volume in taken.values())), *answer["notes"]]
        if request.tool.result == "labels":
            return ToolResult(first, np.load(output, allow_pickle=False), notes=notes)
        if request.tool.result == "table":
            return ToolResult(first, table=answer["table"], notes=notes)
        return ToolResult(first, mesh=_read_mesh(output, answer), notes=notes)


def _read_mesh(path: Path, answer: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a mesh; its vertices in voxels, so that it lies over any layer of the volume."""
    from napari_surfseg.surfaces.mesh_reading import read_mesh

    vertices, faces, _ = read_mesh(path)
    spacing, translate = (np.asarray(answer[key]) for key in ("spacing", "translate"))
    return (vertices - translate) / spacing, faces
