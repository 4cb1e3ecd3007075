"""What every baseline shares: its command line and how it hands its result over."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import tifffile


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


def write_result(output: Path, probs: np.ndarray, **facts: float) -> None:
    """Write probabilities as a uint8 TIFF and print the run's facts as one JSON line."""
    tifffile.imwrite(output, np.rint(probs * 255).astype(np.uint8), compression="zlib")
    print(json.dumps(facts))
