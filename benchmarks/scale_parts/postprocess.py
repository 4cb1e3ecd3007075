"""Post-processing of stored probabilities: its time, and memory that the depth does not raise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_surfseg.geometry import box_at, box_slices
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import (
    BLOCK_SHAPE,
    MAX_THREADS,
    postprocess_blocks,
)
from napari_surfseg.wording import format_bytes, format_size
from scale_parts.child import measure_call
from scale_parts.phantom import write_sheets

#: All steps that the search knows.
FULL: dict[str, Any] = {
    "threshold": 0.6,
    "low_threshold": 0.4,
    "smoothing": 0.75,
    "closing_radius": 2,
    "closing_floor": 0.2,
    "fill_holes": 64,
    "min_voxels": 1000,
}
#: A volume whose post-processing was once left out for its size.
ONCE_LEFT_OUT = (512, 700, 700)


def process(folder: str, values: dict[str, Any], block: list[int], threads: int) -> list[int]:
    """Process what lies in a folder; number of voxels and a check sum that names their places."""
    source = zarr.open_array(f"{folder}/probabilities.zarr", mode="r")
    target = zarr.create_array(
        f"{folder}/mask.zarr",
        shape=source.shape,
        chunks=source.chunks,
        dtype=np.uint8,
        fill_value=0,
        overwrite=True,
    )
    names = np.random.default_rng(0).integers(0, 2**63, source.shape[2], np.uint64)
    total = 0

    def write(start: Any, mask: Any) -> None:
        nonlocal total
        box = box_at(start, mask.shape)
        target[box_slices(box)] = mask
        # Sums that wrap around: the same however the volume is cut.
        rows = (mask * names[box[0][2] : box[1][2]]).sum(axis=2, dtype=np.uint64)
        z, y = np.ogrid[box[0][0] : box[1][0], box[0][1] : box[1][1]]
        weights = (z * 7919 + y * 104729 + 1).astype(np.uint64)
        total = (total + int((rows * weights).sum(dtype=np.uint64))) % 2**64

    result = postprocess_blocks(
        source,
        PostProcess(**values),
        write,
        block_shape=tuple(block),
        scratch=Path(folder) / "scratch",
        num_threads=threads,
    )
    return [result.num_surface, result.num_removed, total]


def measure(quick: bool, folder: Path) -> list[str]:
    """Measure all steps together at a depth and at twice the depth, and what was once left out."""
    plane = (256, 256) if quick else (1024, 1024)
    depths = (64, 128) if quick else (256, 512)
    block = [64, 128, 128] if quick else list(BLOCK_SHAPE)
    other = [50, 100, 256] if quick else [100, 350, 350]
    plain = {"threshold": FULL["threshold"]}
    lines = [
        "Wavy sheets with noise, stored as zarr; smoothing, hysteresis, closing, filling of "
        "cavities and removal of small pieces together, the mask written as zarr; processor time. "
        "Memory is that of the whole process, Python and libraries included.",
        "",
        "| volume | steps | block | threads | ns a voxel | peak | its own | voxels | removed |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    once = (96, 200, 200) if quick else ONCE_LEFT_OUT
    cases = [((depth, *plane), "all", FULL, block, 1) for depth in depths]
    cases += [
        ((depths[-1], *plane), "all", FULL, block, MAX_THREADS),
        (once, "all", FULL, block, 1),
        (once, "all", FULL, other, 1),
        (once, "threshold", plain, block, 1),
    ]
    peaks, sums, made = [], [], None
    for shape, name, values, edges, threads in cases:
        if shape != made:
            write_sheets(folder / "probabilities.zarr", shape)
            made = shape
        found = measure_call("postprocess", "process", str(folder), values, edges, threads)
        voxels, removed, total = found["result"]
        peaks.append(found["peak"])
        sums.append((shape, name, total))
        lines.append(
            f"| {format_size(shape)} | {name} | {format_size(edges)} | {threads} | "
            f"{found['seconds'] / np.prod(shape) * 1e9:.0f} | {format_bytes(found['peak'])} | "
            f"{format_bytes(found['peak'] - found['before'])} | {voxels:,} | {removed:,} |"
        )
    assert sums[3][2] == sums[4][2], "other blocks gave another mask"
    lines += [
        "",
        f"At twice the depth the peak of one thread is {peaks[1] / peaks[0]:.2f} times as high. "
        f"The two masks of {format_size(once)} made in different blocks are the same, voxel by "
        "voxel; a threshold "
        "alone, which is what was written of a volume of this size before, is not.",
    ]
    return lines
