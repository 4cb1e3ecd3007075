"""A tool run on files: volumes are opened, and an array, a mesh or a table is written."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError, OutputError
from napari_surfseg.files import written_aside
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.process_memory import find_free_memory
from napari_surfseg.surface_tools.registry import find_tool
from napari_surfseg.surface_tools.setting import check_settings
from napari_surfseg.wording import format_bytes, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.surface_tools.functions import Table
    from napari_surfseg.surface_tools.registry import InputKind, Tool
    from napari_surfseg.surfaces.mesh import Mesh

__all__ = ["ToolRun", "check_output", "run_tool", "write_table"]

#: Above this many values uint8 is taken for probabilities, unless its file says otherwise.
MANY_VALUES = 100

SUFFIXES = {
    "labels": (".zarr", ".tif", ".tiff", ".npy"),
    "mesh": (".ply", ".obj", ".stl"),
    "table": (".csv",),
}


@dataclass(frozen=True)
class ToolRun:
    """What a tool is to do.

    Attributes
    ----------
    tool : str
        Its name.
    inputs : mapping
        Path of each of its arrays.
    output : str
        Where the result goes; its suffix says as what.
    settings : mapping
        Those that differ from the defaults.
    threshold : float
        Probability above which a voxel is surface, for tools that need a mask.
    """

    tool: str
    inputs: Mapping[str, str]
    output: str
    settings: Mapping[str, Any]
    threshold: float = 0.5


def run_tool(
    job: ToolRun, report: Callable[[str, float], None] = lambda _stage, _share: None
) -> dict[str, Any]:
    """Run a tool and write its result, whole or not at all.

    Parameters
    ----------
    job : ToolRun
        What to do.
    report : callable
        Called with the stage and its share, 0 to 1.

    Returns
    -------
    dict
        ``written``, the path; ``notes``, sentences for the person; ``spacing`` and
        ``translate`` of the first volume; ``table`` where it is one.

    Raises
    ------
    SurfsegError
        In one sentence that names the file or the setting.
    """
    tool = find_tool(job.tool)
    settings = check_settings(tool.function, job.settings)
    output = check_output(job.output, tool)
    volumes = {name: open_volume(job.inputs[name]) for name in tool.inputs}
    _check_shapes(volumes)
    first = next(iter(volumes.values()))
    _check_memory(tool, first)
    arrays, notes = {}, [note for volume in volumes.values() for note in volume.notes]
    for name, kind in tool.inputs.items():
        report(f"reading {volumes[name].name}", 0.0)
        arrays[name], note = read_input(volumes[name], kind, job.threshold)
        notes += [note] if note else []
    if tool.takes_spacing:
        settings["spacing"] = first.spacing
    report(tool.title.lower(), 0.0)
    result = tool.function(**arrays, **settings)
    report("writing the result", 0.0)
    _write(output, result, first)
    answer: dict[str, Any] = {
        "written": str(output),
        "notes": notes,
        "spacing": list(first.spacing),
        "translate": list(first.translate),
    }
    return answer | ({"table": result} if tool.result == "table" else {})


def check_output(output: str | Path, tool: Tool) -> Path:
    """Refuse, before any work, an output that cannot be written.

    Raises
    ------
    OutputError
        In one sentence.
    """
    path = Path(output)
    suffixes = SUFFIXES[tool.result]
    if path.suffix.lower() not in suffixes:
        raise OutputError(
            f"The output {path} ends in {path.suffix or 'nothing'!r}, but {tool.name} writes "
            f"{' or '.join(suffixes)}."
        )
    if not path.resolve().parent.is_dir():
        raise OutputError(f"The folder {path.resolve().parent} of {path.name} does not exist.")
    if path.exists():
        raise OutputError(f"{path} exists already; choose another name or remove it.")
    return path


def read_input(volume: Volume, kind: InputKind, threshold: float) -> tuple[NDArray[Any], str]:
    """Read a volume as a tool wants it; also a sentence on what was made of it, or an empty one.

    Raises
    ------
    DataError
        If it holds NaN, or probabilities where labels are needed.
    """
    values = volume.read(*volume.box)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise DataError(f"{volume.source} holds {count:,} voxels that are NaN or infinite.")
    if kind == "labels" and (values.dtype.kind == "f" or volume.content == "probabilities"):
        raise DataError(
            f"{volume.source} holds probabilities or real numbers, but labels are needed: whole "
            "numbers, 0 where there is nothing; Number pieces makes them of a surface."
        )
    if kind != "mask" or not _is_probability(volume, values):
        return values, ""
    top = 1.0 if values.dtype.kind == "f" else 255.0
    note = f"{volume.name} holds probabilities; surface is above {threshold:g}."
    return values > threshold * top, note


def _is_probability(volume: Volume, values: NDArray[Any]) -> bool:
    if volume.content is not None:
        return volume.content == "probabilities"
    if values.dtype.kind == "f":
        return bool(values.max(initial=0) <= 1 and ((values > 0) & (values < 1)).any())
    return values.dtype == np.uint8 and len(np.unique(values)) > MANY_VALUES


def _check_shapes(volumes: Mapping[str, Volume]) -> None:
    first = next(iter(volumes.values()))
    for volume in volumes.values():
        if volume.shape != first.shape:
            raise DataError(
                f"{first.source} has {format_size(first.shape)} voxels, but {volume.source} has "
                f"{format_size(volume.shape)}; the two must be the same."
            )


def _check_memory(tool: Tool, volume: Volume) -> None:
    """Refuse what surely does not fit, before it is read."""
    needed = volume.num_voxels * tool.bytes_per_voxel
    free = find_free_memory()
    if needed > free:
        raise DataError(
            f"{tool.title} of {volume.source} ({format_size(volume.shape)} voxels) takes about "
            f"{format_bytes(needed)} of memory, but {format_bytes(free)} are free; cut out a part "
            "of it, or use a coarser level."
        )


def _write(path: Path, result: NDArray[Any] | Mesh | Table, source: Volume) -> None:
    if isinstance(result, list):
        write_table(path, result)
    elif isinstance(result, np.ndarray):
        _write_labels(path, result, source)
    else:
        from napari_surfseg.surfaces.mesh_writing import write_mesh

        origin = np.asarray(source.translate)
        write_mesh(path, result.with_vertices(result.vertices + origin), units=source.units)


def write_table(path: Path, table: Table) -> None:
    """Write rows as CSV."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]) if table else [])
        writer.writeheader()
        writer.writerows(table)


def _write_labels(path: Path, values: NDArray[Any], source: Volume) -> None:
    from napari_surfseg.inference.label_writer import write_array

    with written_aside(path) as aside:
        write_array(aside, values, VolumeMetadata.like(source, "labels"), name=path.name)
