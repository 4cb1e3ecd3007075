"""A tool run on files: volumes are opened, and an array, a mesh, a table or a folder is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError, OutputError
from napari_surfseg.files import written_aside
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.volume_writer import scratch_folder
from napari_surfseg.process_memory import find_free_memory
from napari_surfseg.surface_tools.block_work import BlockWork
from napari_surfseg.surface_tools.label_output import LabelOutput, require_disk
from napari_surfseg.surface_tools.registry import find_tool
from napari_surfseg.surface_tools.results import FolderContents, describe_columns, write_table
from napari_surfseg.surface_tools.setting import check_settings
from napari_surfseg.surface_tools.volume_input import open_input
from napari_surfseg.wording import format_bytes, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.surface_tools.registry import Tool
    from napari_surfseg.surface_tools.volume_input import VolumeInput
    from napari_surfseg.surfaces.mesh import Mesh

    Report = Callable[[str, float], None]

__all__ = ["ToolRun", "check_output", "run_tool"]

#: A tool that can do a volume by blocks does so where all at once would take more than this, or
#: than half of what is free. The result is the same; below, all at once is faster.
WHOLE_BYTES = 2**30

SUFFIXES = {
    "labels": (".zarr", ".tif", ".tiff", ".npy"),
    "mesh": (".ply", ".obj", ".stl"),
    "table": (".csv",),
    "folder": ("",),
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
    contents : mapping
        Of inputs, what they hold (``"labels"``), where somebody knows better than the file.
    left_out : mapping
        Of inputs, values that are no surface: not annotated, or background other than 0.
    """

    tool: str
    inputs: Mapping[str, str]
    output: str
    settings: Mapping[str, Any]
    threshold: float = 0.5
    contents: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[int]] = field(default_factory=dict)


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
        ``translate`` of the first volume; ``table`` and ``units`` of its columns where it is
        one; ``opened``, names in a folder of what becomes layers, and ``annotated`` and
        ``hidden``, those of them of which that is true.

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
    first = next(iter(volumes.values()), None)
    large = first is not None and _is_large(tool, first)
    if first is not None and tool.result == "labels":
        require_disk(output.resolve().parent, tool.title, first.shape, output.suffix)
    notes = [note for volume in volumes.values() for note in volume.notes]
    inputs: dict[str, VolumeInput] = {}
    for name, kind in tool.inputs.items():
        report(f"reading {volumes[name].name}", 0.0)
        inputs[name], note = open_input(
            volumes[name], kind, job.threshold, report, job.contents.get(name)
        )
        notes += [note] if note else []
        if left_out := job.left_out.get(name):
            inputs[name].leave_out(left_out)
            values = ", ".join(map(str, left_out))
            notes.append(f"The value {values} of {volumes[name].name} means no surface.")
    work = _Work(tool, settings, inputs, first, output, report, notes, large)
    answer = work.carry_out()
    place: dict[str, Any] = (
        {}
        if first is None
        else {"spacing": list(first.spacing), "translate": list(first.translate)}
    )
    return {"written": str(output), "notes": notes, **place, **answer}


def check_output(output: str | Path, tool: Tool) -> Path:
    """Refuse, before any work, an output that cannot be written.

    Raises
    ------
    OutputError
        In one sentence.
    """
    path = Path(output)
    suffixes = SUFFIXES[tool.result]
    if path.suffix.lower() not in suffixes and tool.result != "folder":
        raise OutputError(
            f"The output {path} ends in {path.suffix or 'nothing'!r}, but {tool.name} writes "
            f"{' or '.join(suffixes)}."
        )
    if not path.resolve().parent.is_dir():
        raise OutputError(f"The folder {path.resolve().parent} of {path.name} does not exist.")
    if path.exists():
        raise OutputError(f"{path} exists already; choose another name or remove it.")
    return path


@dataclass(frozen=True)
class _Work:
    """A tool with all that it needs."""

    tool: Tool
    settings: dict[str, Any]
    inputs: dict[str, VolumeInput]
    first: Volume | None
    output: Path
    report: Report
    notes: list[str]
    large: bool

    def carry_out(self) -> dict[str, Any]:
        """Compute and write; what the answer says of the result."""
        if self.tool.result == "labels":
            return self._make_labels()
        if self.tool.result == "folder":
            return self._make_folder()
        with scratch_folder(self.output) as scratch:
            result = self._compute(scratch, None)
        self.report("writing the result", 0.0)
        if self.tool.result == "table":
            units = self._describe_columns()
            write_table(self.output, result, units)
            return {"table": result, "units": units}
        self._write_mesh(result)
        return {}

    def _compute(self, scratch: Path, target: LabelOutput | None, **offered: Any) -> Any:
        """Call the tool's function on arrays, or that for blocks on what is read by boxes."""
        tool, first = self.tool, self.first
        self.report(tool.title.lower(), 0.0)
        spacing = (1.0, 1.0, 1.0) if first is None else first.spacing
        if self.large and callable(tool.large):
            return tool.large(
                BlockWork(
                    self.inputs,
                    self.settings,
                    create=_refuse_labels if target is None else target.create,
                    scratch=scratch,
                    spacing=spacing,
                    report=self.report,
                    notes=self.notes,
                )
            )
        given = {
            name: values if self.large else values[...] for name, values in self.inputs.items()
        }
        offered |= {
            "spacing": spacing,
            "origin": (0.0, 0.0, 0.0) if first is None else first.translate,
            "units": None if first is None else first.units,
            "report": self.report,
        }
        return tool.function(**given, **self.settings, **tool.choose(offered))

    def _make_labels(self) -> dict[str, Any]:
        with written_aside(self.output) as aside, scratch_folder(self.output) as scratch:
            like = self.first
            metadata = VolumeMetadata() if like is None else VolumeMetadata.like(like, "labels")
            metadata = replace(metadata, version="0.5")
            shape = (0, 0, 0) if like is None else like.shape
            target = LabelOutput(self.output.name, aside, scratch, shape, metadata)
            result = self._compute(scratch, target)
            self.report("writing the result", 0.0)
            if isinstance(result, np.ndarray):
                target.write(result)
            else:
                target.finish(self.report)
        return {}

    def _make_folder(self) -> dict[str, Any]:
        with written_aside(self.output) as aside, scratch_folder(self.output) as scratch:
            aside.mkdir()
            found = self._compute(scratch, None, folder=aside)
        contents = found if isinstance(found, FolderContents) else FolderContents()
        self.notes.extend(contents.notes)
        return {
            "opened": list(contents.opened),
            "annotated": list(contents.annotated),
            "hidden": list(contents.hidden),
            "table": contents.table,
            "units": self._describe_columns(),
        }

    def _describe_columns(self) -> dict[str, str]:
        units = None if self.first is None else self.first.units
        return describe_columns(self.tool.powers, units)

    def _write_mesh(self, mesh: Mesh) -> None:
        from napari_surfseg.surfaces.mesh_writing import write_mesh

        placed, units = mesh, None
        if self.first is not None:
            placed = mesh.with_vertices(mesh.vertices + np.asarray(self.first.translate))
            units = self.first.units
        write_mesh(self.output, placed, units=units)


def _refuse_labels(_dtype: Any) -> Any:
    raise TypeError("A tool that gives no labels makes no array.")


def _check_shapes(volumes: Mapping[str, Volume]) -> None:
    first = next(iter(volumes.values()), None)
    for volume in volumes.values():
        if first is not None and volume.shape != first.shape:
            raise DataError(
                f"{first.source} has {format_size(first.shape)} voxels, but {volume.source} has "
                f"{format_size(volume.shape)}; the two must be the same."
            )


def _is_large(tool: Tool, volume: Volume) -> bool:
    """Whether a volume is done by blocks; one that can't and surely does not fit is refused."""
    needed = volume.num_voxels * tool.bytes_per_voxel
    free = find_free_memory()
    if tool.large != "whole":
        return needed > min(WHOLE_BYTES, free // 2)
    if needed > free:
        raise DataError(
            f"{tool.title} of {volume.source} ({format_size(volume.shape)} voxels) takes about "
            f"{format_bytes(needed)} of memory, but {format_bytes(free)} are free; cut out a part "
            "of it, or use a coarser level."
        )
    return False
