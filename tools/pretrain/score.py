"""Score a network on volumes with instances, at several sizes of voxels, without any training.

    python tools/pretrain/score.py OUT/network.pt IMAGE.tif INSTANCES.tif --zoom 0.7 1 1.5 2
    python tools/pretrain/score.py OUT/network.pt --synthetic 12

The second takes so many synthetic volumes of each kind, of a seed that no training has.
Prediction is the project's own, grey values are normalised by the volume. The labels of recorded
volumes are the borders of the instances, made after zooming, two voxels thick.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
from scenes import BORDERS, SCENES
from scipy import ndimage
from stream import Stream

from napari_surfseg.data.instances import compute_boundaries
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.metrics.surface import compute_dice, compute_surface_agreement
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.open_network import open_network

if TYPE_CHECKING:
    from collections.abc import Sequence

#: No training has it: its volumes are new to every network.
SCORED_SEED = 987_654_321

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
    """Print rows of surface Dice / Dice at each threshold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="a checkpoint, a file of weights, or a shipped one's name")
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("instances", type=Path, nargs="?")
    parser.add_argument("--synthetic", type=int, metavar="COUNT")
    parser.add_argument("--zoom", type=float, nargs="+", default=[1.0])
    parser.add_argument("--invert", action="store_true", help="exchange dark and bright")
    parser.add_argument("--flips", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    network = open_network(arguments.network).build_model("cpu")
    print(" " * 12 + " ".join(f"     > {threshold:.1f}   " for threshold in THRESHOLDS))
    if arguments.synthetic:
        for kind in (*SCENES, "roll"):
            stream = Stream(SCORED_SEED, (80, 80, 80), {kind: 1.0})
            found = []
            for number in range(arguments.synthetic):
                pair = stream.make(number)
                labels = (pair.labels == 1).astype(np.uint8)
                found.append(score(predict(network, pair.image, flips=arguments.flips), labels))
            _print_row(kind, np.median(found, axis=0))
        return
    image, cells = (tifffile.imread(path) for path in (arguments.image, arguments.instances))
    if arguments.invert:
        image = 255 - image
    for zoom in arguments.zoom:
        seen, ids = image, cells.astype(np.int32)
        if zoom != 1:
            source = image.astype(np.float32)
            if zoom < 1:
                source = ndimage.gaussian_filter(source, 0.35 / zoom)
            seen = np.clip(ndimage.zoom(source, zoom, order=1), 0, 255).astype(np.uint8)
            ids = ndimage.zoom(ids, zoom, order=0)
        labels = compute_boundaries(np.ascontiguousarray(ids), BORDERS)
        found = score(predict(network, seen, flips=arguments.flips), labels)
        _print_row(f"zoom {zoom:g}", found)


def _print_row(name: str, found: Sequence[Sequence[float]]) -> None:
    print(f"{name:<12}" + " ".join(f"{a:.3f}/{b:.3f}" for a, b in found), flush=True)


if __name__ == "__main__":
    main()
