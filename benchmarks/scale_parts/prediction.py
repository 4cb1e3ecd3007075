"""Prediction of large volumes: rate, memory by depth, windows computed once, several processes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_surfseg.wording import format_bytes, format_duration, format_size
from scale_parts.child import measure_call
from scale_parts.phantom import write_sheets

#: What a scroll of one terabyte is, and a small part of one.
SIZES = {"1024 x 1024 x 1024": 1024**3, "8000 x 8000 x 16000 (1 TB)": 8000 * 8000 * 16000}
#: Share of a scanned box that holds papyrus; the rest is void.
FILLED = 0.4


def predict(folder: str, name: str, keep: bool = False, cluster: str | None = None) -> list[Any]:
    """Predict what lies in a folder; windows computed, their size, seconds on the clock."""
    from napari_surfseg.data.open import open_volume
    from napari_surfseg.inference.predict_volume import predict_volume
    from napari_surfseg.inference.settings import (
        OutputSettings,
        PredictionSettings,
        WorkSettings,
    )
    from napari_surfseg.model.open_network import open_network

    network = "surfaces-tiny"
    checkpoint = open_network(network)
    work = WorkSettings(
        folder=Path(folder) / f"{name}.blocks", network=network, keep=keep, cluster=cluster
    )
    began = time.monotonic()
    summary = predict_volume(
        open_volume(f"{folder}/{name}.zarr"),
        checkpoint,
        f"{folder}/{name}_out.zarr",
        PredictionSettings(checkpoint.intensity, checkpoint.patch_size),
        output_settings=OutputSettings(overwrite=True),
        work=work,
    )
    seconds = time.monotonic() - began
    return [summary.num_windows - summary.num_skipped, list(summary.window), seconds]


def forward(window: list[int], count: int) -> None:
    """Compute so many windows with the network and nothing else."""
    import torch

    from napari_surfseg.inference.settings import PredictionSettings
    from napari_surfseg.inference.sliding_window import WindowNetwork
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.open_network import open_network

    checkpoint = open_network("surfaces-tiny")
    settings = PredictionSettings(Intensity(0, 255, 0.3, 0.3), checkpoint.patch_size, batch_size=1)
    network = WindowNetwork(checkpoint.build_model("cpu"), settings)
    values = torch.randint(0, 256, (1, *window), dtype=torch.uint8).numpy()
    for _ in range(count):
        network(values)


def write_columns(path: Path, shape: tuple[int, int, int], edge: int) -> None:
    """Write sheets into one of sixteen columns of a volume whose chunks are all stored."""
    write_sheets(path, (shape[0], edge, edge))
    values = zarr.open_array(str(path), mode="r")[:]
    array = zarr.create_array(
        str(path), shape=shape, chunks=(128, 128, 128), dtype=np.uint8, overwrite=True
    )
    for y in range(0, shape[1], 4 * edge):
        for x in range(0, shape[2], 4 * edge):
            array[:, y : y + edge, x : x + edge] = values


def measure(quick: bool, folder: Path) -> list[str]:
    """Measure the rate, memory at a depth and at twice the depth, and processes of Dask."""
    shape = (64, 128, 128) if quick else (128, 300, 300)
    write_sheets(folder / "scan.zarr", shape)
    found = measure_call("prediction", "predict", str(folder), "scan")
    computed, window, _ = found["result"]
    alone = measure_call("prediction", "forward", window, computed)
    once = measure_call("prediction", "forward", window, 0)
    network = alone["seconds"] - once["seconds"]
    # What starts once is left out of the rate.
    predicting = found["seconds"] - once["seconds"]
    rate = np.prod(shape) / predicting
    rest = max(predicting - network, 0) / predicting
    lines = [
        "The network of the package, one thread, uint8 phantom as zarr, the mask written as "
        "OME-Zarr with its pyramid. Seconds are those of the processor.",
        "",
        f"- {format_size(shape)}: {predicting:.1f} s, {rate / 1e6:.2f} million voxels a second, in "
        f"{computed} windows of {format_size(window)}, none of which is computed twice. The "
        f"network alone takes {network:.1f} s for as many windows; reading, blending, "
        f"post-processing and writing take the rest ({rest:.0%}).",
    ]
    lines += _measure_memory(quick, folder)
    lines += _measure_processes(quick, folder)
    lines += _size(rate)
    return lines


def _measure_memory(quick: bool, folder: Path) -> list[str]:
    plane, edge = ((256, 256), 64) if quick else ((1024, 1024), 256)
    peaks: list[tuple[Any, float]] = []
    for depth in (64, 128) if quick else (256, 512):
        write_columns(folder / "deep.zarr", (depth, *plane), edge)
        made = measure_call("prediction", "predict", str(folder), "deep")
        peaks.append(((depth, *plane), made["peak"]))
    (first, low), (second, high) = peaks
    return [
        f"- Peak memory, Python and PyTorch included: {format_bytes(low)} for "
        f"{format_size(first)}, {format_bytes(high)} for {format_size(second)}, "
        f"{high / low:.2f} times as much (one of sixteen columns holds sheets, the rest void).",
    ]


def _measure_processes(quick: bool, folder: Path) -> list[str]:
    lines = []
    for count in (1,) if quick else (1, 2):
        made = measure_call("prediction", "predict", str(folder), "scan", False, f"local:{count}")
        lines.append(
            f"- Dask with {count} {'worker' if count == 1 else 'workers'}: "
            f"{made['result'][2]:.0f} s on the clock, starting the processes included."
        )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    return [*lines, f"- The machine's load was {load:.1f} then, so the clock says little."]


def _size(rate: float) -> list[str]:
    """Extrapolate from the rate of one core."""
    lines = [
        "",
        f"Extrapolated from one core; {FILLED:.0%} of a scroll's box holds papyrus, the rest is "
        "void and costs nothing:",
        "",
        "| volume | one core | 64 cores |",
        "| --- | ---: | ---: |",
    ]
    for name, voxels in SIZES.items():
        seconds = voxels * FILLED / rate
        lines.append(f"| {name} | {format_duration(seconds)} | {format_duration(seconds / 64)} |")
    return lines
