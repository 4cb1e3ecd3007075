"""Cells from membranes, scored against instances that were drawn by hand.

The membranes are those that the network of the package finds, without any training. The
alternative is what is commonly done: the spaces below a threshold are numbered, small ones left
out, and grown by a watershed until they meet.

    python benchmarks/cells.py [--quick] [--record] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import tifffile
from scipy import ndimage

from napari_surfseg.surface_tools.functions import cells_from_membranes, score_cells

RESULTS = Path(__file__).parent / "results" / "cells.md"
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

#: Image, instances and voxel size of each volume.
VOLUMES = {
    "fibsem_gala test": (
        "fibsem_gala/test_image.tif",
        "fibsem_gala/test_instances.tif",
        (1.0, 1.0, 1.0),
    ),
    "fibsem_gala train": (
        "fibsem_gala/train_image.tif",
        "fibsem_gala/train_instances.tif",
        (1.0, 1.0, 1.0),
    ),
    "ovule": ("confocal_ovule/image.tif", "confocal_ovule/instances.tif", (0.235, 0.15, 0.15)),
}
SCORES = ("adapted_rand_error", "voi", "voi_split", "voi_merge")
THRESHOLDS = (0.3, 0.5, 0.7)
MIN_VOXELS = 50


def predict(image: Path, folder: Path, spacing: tuple[float, ...]) -> np.ndarray:
    """Find membranes with the network of the package, as a person would."""
    output = folder / "probabilities.tif"
    output.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "napari_surfseg", "predict", str(image), "--output", str(output),
         "--probabilities", "--spacing", ",".join(map(str, spacing))],
        check=True, capture_output=True,
    )  # fmt: skip
    return np.asarray(tifffile.imread(output))


def grow_spaces(probs: np.ndarray, threshold: float) -> np.ndarray:
    """Give the spaces below a threshold numbers and grow them: the alternative."""
    from skimage.segmentation import watershed

    spaces = ndimage.label(probs < 255 * threshold)[0]
    kept = np.bincount(spaces.ravel()) >= MIN_VOXELS
    kept[0] = False
    return np.asarray(watershed(probs, np.where(kept[spaces], spaces, 0)))


def measure(name: str, method: str, cells: np.ndarray, truth: np.ndarray, seconds: float) -> str:
    """Make one row of the table."""
    scores = {row["score"]: row["value"] for row in score_cells(cells, truth)}
    values = " | ".join(f"{scores[key]:.3f}" for key in SCORES)
    return f"| {name} | {method} | {values} | {len(np.unique(cells))} | {seconds:.1f} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one volume only")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real volumes")
    options = parser.parse_args()
    lines = [
        f"| volume | method | {' | '.join(SCORES)} | cells | s |",
        "| --- | --- | " + "---: | " * (len(SCORES) + 2),
    ]
    volumes = dict(list(VOLUMES.items())[:1]) if options.quick else VOLUMES
    with tempfile.TemporaryDirectory() as folder:
        for name, (image, instances, spacing) in volumes.items():
            probs = predict(options.data / image, Path(folder), spacing)
            truth = np.asarray(tifffile.imread(options.data / instances)).astype(np.int64)
            for threshold in THRESHOLDS:
                begin = time.process_time()
                cells = grow_spaces(probs, threshold)
                spent = time.process_time() - begin
                lines.append(measure(name, f"spaces below {threshold}, grown", cells, truth, spent))
            begin = time.process_time()
            cells = cells_from_membranes(probs, spacing=spacing)
            spent = time.process_time() - begin
            lines.append(measure(name, "cells-from-membranes", cells, truth, spent))
    text = "\n".join(line.strip() for line in lines)
    print(text)
    if options.record:
        RESULTS.write_text(
            "# Cells from membranes\n\n`python benchmarks/cells.py` on "
            f"{platform.machine()}, processor seconds of one thread. The membranes are those "
            "of the network of the package, which learned from one of them, `fibsem_gala train`. "
            "Adapted Rand error and variation of information (bits) against the instances, their 0 "
            "left out: less is better.\n\n" + text + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
