"""Score a network on volumes with instances, at several sizes of voxels, without any training.

    python tools/pretrain/score.py OUT/network.pt IMAGE.tif INSTANCES.tif --zoom 0.7 1 1.5 2

Prediction is the project's own, grey values are normalised by the volume. The labels are the
borders of the instances, made after zooming, two voxels thick.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
import torch
from scenes import BORDERS
from scipy import ndimage

from napari_surfseg.data.instances import compute_boundaries
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.metrics.surface import compute_dice, compute_surface_agreement
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.model.intensity import Intensity

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


def predict(
    network: torch.nn.Module, image: np.ndarray, *, window: int = 64, flips: bool = False
) -> np.ndarray:
    """Probabilities 0 to 255 of a uint8 volume."""
    scaled = image / 255
    settings = PredictionSettings(
        Intensity(0, 255, float(scaled.mean()), max(float(scaled.std()), 1 / 255)),
        (window,) * 3,
        flips=flips,
    )

    def read(start: tuple[int, ...], stop: tuple[int, ...]) -> np.ndarray:
        return image[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]

    return predict_region(network, read, ((0, 0, 0), image.shape), settings)


def score(probs: np.ndarray, labels: np.ndarray) -> list[tuple[float, float]]:
    """Surface Dice and Dice at each threshold."""
    found = []
    for threshold in THRESHOLDS:
        mask = (probs > 255 * threshold).astype(np.uint8)
        agreement = compute_surface_agreement(mask, labels)
        found.append((agreement.surface_dice, compute_dice(mask, labels)))
    return found


def main() -> None:
    """Print a row for each zoom: surface Dice / Dice at each threshold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("instances", type=Path)
    parser.add_argument("--zoom", type=float, nargs="+", default=[1.0])
    parser.add_argument("--invert", action="store_true")
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--crop", type=int, help="only a cube of this edge in the middle")
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    network = load_checkpoint(arguments.network).build_model()
    torch.set_num_threads(1)
    image, cells = (tifffile.imread(path) for path in (arguments.image, arguments.instances))
    if arguments.crop:
        starts = [max(0, (n - arguments.crop) // 2) for n in image.shape]
        box = tuple(slice(a, a + arguments.crop) for a in starts)
        image, cells = image[box], cells[box]
    if arguments.invert:
        image = 255 - image
    print("zoom      " + " ".join(f"     > {threshold:.1f}   " for threshold in THRESHOLDS))
    for zoom in arguments.zoom:
        seen, ids = image, cells.astype(np.int32)
        if zoom != 1:
            source = image.astype(np.float32)
            if zoom < 1:
                source = ndimage.gaussian_filter(source, 0.35 / zoom)
            seen = np.clip(ndimage.zoom(source, zoom, order=1), 0, 255).astype(np.uint8)
            ids = ndimage.zoom(ids, zoom, order=0)
        labels = compute_boundaries(np.ascontiguousarray(ids), BORDERS)
        probs = predict(network, seen, flips=arguments.flips)
        if arguments.save:
            tifffile.imwrite(arguments.save, probs)
        cells_ = " ".join(f"{a:.3f}/{b:.3f}" for a, b in score(probs, labels))
        print(f"{zoom:<8g}  {cells_}", flush=True)


if __name__ == "__main__":
    main()
