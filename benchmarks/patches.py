"""Patches a second per core: this project's loader beside zarr-python with MONAI's RandAffined.

Both cut pairs of image and label patches at random places of the same zarr and
vary them: the loader with the 48 symmetries, contrast, brightness, gamma and
noise; MONAI with a random affine. Rounds alternate, one thread each. The
figure is patches a second of processor time (all threads of the process), so a
busy machine disturbs it little; wall-clock time is printed beside it.

    python benchmarks/patches.py [--quick] [--record] [--size 128]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import zarr
from monai.transforms import RandAffined

from napari_surfseg.config import Data, Pair
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.patches.loader import PatchLoader

RESULTS = Path(__file__).parent / "results" / "patches.md"


def make_volumes(folder: Path, edge: int) -> tuple[Path, Path]:
    """Write a textured volume with wavy sheets in it, and their labels, as zarr."""
    rng = np.random.default_rng(1)
    z, y, x = (np.arange(edge, dtype=np.float32) for _ in range(3))
    wave = x[None, None] + 6 * np.sin(y[None, :, None] / 23) + 5 * np.cos(z[:, None, None] / 31)
    sheets = np.mod(wave, 16) < 3
    grey = 110 + 30 * sheets + rng.normal(0, 14, wave.shape).astype(np.float32)
    paths = folder / "image.zarr", folder / "labels.zarr"
    for path, values in zip(paths, (np.clip(grey, 0, 255), sheets), strict=True):
        array = zarr.create_array(path, shape=values.shape, chunks=(64, 64, 64), dtype="uint8")
        array[:] = values.astype(np.uint8)
    return paths


class Timer:
    """Collects processor and wall-clock seconds a patch, round by round."""

    def __init__(self) -> None:
        self.processor: list[float] = []
        self.wall: list[float] = []

    def measure(self, function, count: int) -> None:
        """Run ``function`` ``count`` times as one round."""
        processor, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            function()
        self.processor.append((time.process_time() - processor) / count)
        self.wall.append((time.perf_counter() - wall) / count)

    def rates(self) -> tuple[float, float, float]:
        """Patches a second: best and median by processor time, median by wall clock."""
        return (
            1 / min(self.processor),
            1 / statistics.median(self.processor),
            1 / statistics.median(self.wall),
        )


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="edge of a patch")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a smaller volume")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size = arguments.size
    edge = size * 2 if arguments.quick else size * 5 // 2
    rounds = 5 if arguments.quick else 15

    with tempfile.TemporaryDirectory() as folder:
        image, labels = make_volumes(Path(folder), edge)
        pair = Pair(image=str(image), labels=str(labels))
        data = Data(train=(pair,), validation=(pair,), patch_size=(size,) * 3)
        train, _ = open_pairs(data)
        intensity = compute_intensity([train[0].image])
        cache = VolumeCache(2**31)
        loader = PatchLoader(train, data, intensity, batch_size=1, seed=1, workers=0, cache=cache)
        arrays = zarr.open_array(image, mode="r"), zarr.open_array(labels, mode="r")
        affine = RandAffined(
            keys=("image", "labels"),
            prob=1.0,
            rotate_range=(0.3,) * 3,
            scale_range=(0.1,) * 3,
            mode=("bilinear", "nearest"),
            padding_mode="border",
        )
        affine.set_random_state(1)
        rng = np.random.default_rng(1)

        def cut_with_zarr() -> None:
            corner = rng.integers(0, edge - size + 1, 3)
            box = tuple(slice(c, c + size) for c in corner)
            affine({"image": arrays[0][box][None], "labels": arrays[1][box][None]})

        def read_with_zarr() -> None:
            corner = rng.integers(0, edge - size + 1, 3)
            box = tuple(slice(c, c + size) for c in corner)
            _ = arrays[0][box], arrays[1][box]

        timers = {
            "this loader (cut, 48 symmetries, grey values, noise)": (lambda: next(loader), 20),
            "zarr-python read + MONAI RandAffined": (cut_with_zarr, 1),
            "zarr-python read alone": (read_with_zarr, 2),
        }
        results = {name: Timer() for name in timers}
        for function, _ in timers.values():  # compile, fill the cache, warm up
            for _ in range(30 if function is not cut_with_zarr else 1):
                function()
        for _ in range(rounds):
            for name, (function, count) in timers.items():
                results[name].measure(function, count)
        stats = cache.stats()

    lines = [
        f"# Patches of {size}^3, image and labels, from a zarr of {edge}^3 in chunks of 64^3",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, one thread, {rounds} rounds "
        "alternating.",
        "",
        "| | patches/s per core, best | median | by wall clock |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, timer in results.items():
        best, median, wall = timer.rates()
        lines.append(f"| {name} | {best:.1f} | {median:.1f} | {wall:.1f} |")
    ours, theirs = (timer.rates()[1] for timer in list(results.values())[:2])
    lines += [
        "",
        f"Ratio of the medians, loader to zarr-python with RandAffined: {ours / theirs:.0f}.",
        f"Cache: {stats.hits} hits, {stats.misses} misses, {stats.evictions} evictions.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
