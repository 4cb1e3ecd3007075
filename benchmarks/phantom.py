"""The synthetic scroll: processor seconds to make it, at several sizes, and how hard it is.

Hardness is the best Dice that any grey threshold reaches on the annotated
voxels, without and with Gaussian smoothing, beside that of calling everything
surface: a threshold should hardly beat the latter.

    python benchmarks/phantom.py [--quick] [--record]
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_surfseg.data.phantom.scroll import PhantomBox, ScrollPhantom
from napari_surfseg.data.phantom.settings import PhantomSettings

RESULTS = Path(__file__).parent / "results" / "phantom.md"


def time_box(shape: tuple[int, int, int], rounds: int) -> float:
    """Least processor seconds to make a whole scroll of this shape."""
    phantom = ScrollPhantom(PhantomSettings(shape=shape))
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        phantom.compute_box((0, 0, 0), shape)
        seconds.append(time.process_time() - begin)
    return min(seconds)


def find_best_dice(image: np.ndarray, labels: np.ndarray) -> float:
    """Best Dice of any threshold, the bright or the dark side being surface."""
    known = labels < 2
    truth = (labels[known] == 1)[np.argsort(image[known], kind="stable")]
    found = np.arange(1, truth.size + 1)
    return max(
        float((2 * np.cumsum(side) / (found + side.sum())).max()) for side in (truth, truth[::-1])
    )


def describe(seed: int, box: PhantomBox) -> list[str]:
    """Make one row of the table of hardness."""
    known = box.labels < 2
    face = box.labels == 1
    image = box.image.astype(np.float32)
    dice = [
        find_best_dice(gaussian_filter(image, s) if s else image, box.labels) for s in (0, 1, 2)
    ]
    everything = 2 * face.sum() / (face.sum() + known.sum())
    return [
        str(seed),
        f"{100 * face.mean():.1f} %",
        f"{100 * (~known & (box.image > 0)).sum() / (box.image > 0).sum():.1f} %",
        str(box.winding.max()),
        *(f"{value:.3f}" for value in dice),
        f"{everything:.3f}",
    ]


def tabulate(head: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, smaller volumes")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    shapes = [(64, 64, 64), (160, 192, 192)]
    if not arguments.quick:
        shapes += [(128, 384, 384), (32, 1024, 1024)]
    rows = []
    for shape in shapes:
        seconds = time_box(shape, 1 if arguments.quick else 3)
        rate = math.prod(shape) / seconds / 1e6
        rows.append([" × ".join(map(str, shape)), f"{seconds:.2f}", f"{rate:.1f}"])
    timing = tabulate(["voxels", "processor seconds", "million voxels a second"], rows)
    rows = []
    for seed in range(2 if arguments.quick else 6):
        settings = PhantomSettings(shape=(48, 192, 192), seed=seed)
        rows.append(describe(seed, ScrollPhantom(settings).compute_box((0, 0, 0), settings.shape)))
    hardness = tabulate(
        ["seed", "face", "unannotated", "windings", "best threshold", "smoothed by 1",
         "smoothed by 2", "everything"],
        rows,
    )  # fmt: skip
    text = f"{timing}\n\nBest Dice of a grey threshold:\n\n{hardness}\n"
    print(text)
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread"
        RESULTS.write_text(
            f"# The synthetic scroll\n\n`python benchmarks/phantom.py` on {machine}.\n\n{text}",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
