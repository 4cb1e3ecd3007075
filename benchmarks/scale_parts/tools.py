"""Surface tools, block by block: processor time, and memory that the depth does not raise."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.geometry import box_slices, iterate_blocks, whole_box
from napari_surfseg.surface_tools import files
from napari_surfseg.surface_tools.files import ToolRun, run_tool
from napari_surfseg.surface_tools.registry import find_tool
from napari_surfseg.wording import format_bytes, format_size
from scale_parts.child import measure_call
from scale_parts.phantom import CHUNK, write_sheets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Size3

#: Edge of the cells of the phantom, and half the thickness of the walls between them.
CELL, HALF_WALL = 32, 1.5

#: At a depth and at twice the depth; of tools that take long for each voxel less.
SHAPES: dict[bool, tuple[Size3, Size3]] = {
    False: ((512, 1024, 1024), (1024, 1024, 1024)),
    True: ((128, 512, 512), (256, 512, 512)),
}
QUICK: tuple[Size3, Size3] = ((128, 128, 256), (256, 128, 256))
SLOW = {"cells-from-membranes", "measure-sheets", "score-cells"}

#: Each tool, what its inputs are and its settings.
CASES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "threshold-surface": ({"surface": "sheets"}, {}),
    "medial-surface": ({"surface": "sheets"}, {}),
    "remove-small-pieces": ({"surface": "threshold-surface"}, {"min_voxels": 1000}),
    "fill-holes": ({"surface": "sheets"}, {"radius": 1, "max_voxels": 500}),
    "label-pieces": ({"surface": "sheets"}, {"min_voxels": 100}),
    "cells-from-membranes": ({"membranes": "cells"}, {}),
    "measure-sheets": ({"surface": "cells-from-membranes"}, {}),
    "score-cells": ({"cells": "cells-from-membranes", "truth": "cells-from-membranes"}, {}),
}


def run(folder: str, tool: str, inputs: dict[str, str], settings: dict[str, Any]) -> int:
    """Run a tool by blocks on what lies in a folder; the number of voxels that are not 0."""
    files.WHOLE_BYTES = 0
    ending = "csv" if find_tool(tool).result == "table" else "zarr"
    output = Path(folder) / f"{tool}.{ending}"
    shutil.rmtree(output, ignore_errors=True)
    output.unlink(missing_ok=True)
    paths = {name: str(Path(folder) / f"{stem}.zarr") for name, stem in inputs.items()}
    run_tool(ToolRun(tool, paths, str(output), settings))
    return output.stat().st_size


def write_cells(path: Path, shape: Size3) -> None:
    """Write membranes between wavy boxes, with noise, one chunk at a time."""
    array = zarr.create_array(str(path), shape=shape, chunks=CHUNK, dtype=np.uint8, overwrite=True)
    for box in iterate_blocks(whole_box(shape), CHUNK):
        array[box_slices(box)] = make_cells(box)


def make_cells(box: Box) -> NDArray[np.uint8]:
    """Probabilities of membrane in a box of an endless tissue."""
    z, y, x = np.ogrid[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    waves = (
        z + 3 * np.sin(y / 17) + 2 * np.sin(x / 13),
        y + 3 * np.sin(x / 19) + 2 * np.sin(z / 11),
        x + 3 * np.sin(z / 23) + 2 * np.sin(y / 15),
    )
    away = np.minimum.reduce([np.abs((w + CELL / 2) % CELL - CELL / 2) for w in waves])
    noise = np.random.default_rng(box[0]).normal(0, 15, away.shape)
    return np.clip(230 / (1 + np.exp(2 * (away - HALF_WALL))) + 15 + noise, 0, 255).astype(np.uint8)


def measure(quick: bool, folder: Path) -> list[str]:
    """Measure each tool at a depth and at twice the depth."""
    lines = [
        "Each tool of the page *Surface tools* that does large volumes by blocks of 128 × 256 × "
        "256, on a phantom of sheets with noise, or of cells; read from zarr and written as "
        "OME-Zarr with its pyramid, one thread, processor time. Memory is that of the whole "
        "process, Python and libraries included.",
        "",
        "| tool | volume | million voxels a second | peak memory | at twice the depth | times |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for is_slow in (False, True):
        names = [name for name in CASES if (name in SLOW) == is_slow]
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        shapes = QUICK if quick else SHAPES[is_slow]
        for shape in shapes:
            if is_slow:
                write_cells(folder / "cells.zarr", shape)
            else:
                write_sheets(folder / "sheets.zarr", shape, noise=12.0)
            for name in names:
                inputs, settings = CASES[name]
                found[name].append(
                    measure_call("tools", "run", str(folder), name, inputs, settings)
                )
                print(shape, name, found[name][-1], flush=True)
        for name, (once, twice) in found.items():
            rate = np.prod(shapes[1], dtype=np.float64) / twice["seconds"] / 1e6
            lines.append(
                f"| {find_tool(name).title} | {format_size(shapes[0])} | {rate:.1f} | "
                f"{format_bytes(once['peak'])} | {format_bytes(twice['peak'])} | "
                f"{twice['peak'] / once['peak']:.2f} |"
            )
    return lines
