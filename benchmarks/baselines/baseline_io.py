"""What every baseline shares: its command line, its threshold and how it hands its result over."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tifffile

#: Thresholds that a baseline chooses from.
THRESHOLDS = np.arange(0.05, 0.96, 0.05)


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Read the command line of a baseline."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train-image", type=Path, required=True, help="TIFF, ZYX")
    parser.add_argument("--train-labels", type=Path, required=True, help="TIFF of 0, 1, 2 = ignore")
    parser.add_argument("--test-image", type=Path, required=True, help="TIFF, ZYX")
    parser.add_argument("--output", type=Path, required=True, help="probabilities, uint8 TIFF")
    parser.add_argument("--seconds", type=float, default=60.0, help="training budget")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--seed", type=int, default=2025)
    return parser.parse_args()


def choose_threshold(
    probs: np.ndarray, is_surface: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Return the threshold of the best Dice on voxels whose label is known.

    Parameters
    ----------
    probs, is_surface : ndarray
        Of the same voxels; ``is_surface`` is boolean.
    weights : ndarray, optional
        Voxels of the volume that each of these stands for.
    """
    if weights is None:
        weights = np.ones(probs.shape, np.float32)
    total = weights[is_surface].sum()
    scores = []
    for threshold in THRESHOLDS:
        found = probs >= threshold
        both = weights[found & is_surface].sum()
        scores.append(2 * both / max(weights[found].sum() + total, 1e-9))
    return round(float(THRESHOLDS[int(np.argmax(scores))]), 2)


def write_result(output: Path, probs: np.ndarray, **facts: float) -> None:
    """Write probabilities as a uint8 TIFF and print the run's facts as one JSON line."""
    tifffile.imwrite(output, np.rint(probs * 255).astype(np.uint8), compression="zlib")
    print(json.dumps(facts))
