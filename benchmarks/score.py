"""How long the challenge's score takes, part by part, beside the C++ library where it is installed.

    python benchmarks/score.py [--quick] [--record] [--size 256]

A volume of wavy sheets is scored against a noisy prediction of them: thousands
of specks, hundreds of holes and bridges in either. Numba is warm. Times are CPU
seconds (everything runs on one core), which other programs disturb less than
the clock; the clock's are given for the whole.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from napari_surfseg.metrics import betti_matching, score
from napari_surfseg.metrics.masks import prepare_masks
from napari_surfseg.metrics.score import compute_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = Path(__file__).parent / "results" / "score.md"

#: What is timed, by the module that calls it and its name there.
PARTS = {
    "surface dice, precision, recall": [(score, "compute_surface_agreement")],
    "variation of information": [(score, "compute_voi")],
    "Betti numbers of the volume": [(score, "compute_betti_numbers")],
    "octants: Betti numbers": [
        (betti_matching, "label_components"),
        (betti_matching, "count_enclosed"),
        (betti_matching, "euler_characteristic"),
    ],
    "octants: components": [(betti_matching, "match_components")],
    "octants: tunnels": [
        (betti_matching, "build_dual_forest"),
        (betti_matching, "find_loops"),
        (betti_matching, "find_filling_squares"),
    ],
    "octants: cavities": [(betti_matching, "match_cavities")],
}


def make_sheets(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make wavy sheets with a few true holes, and a noisy prediction of them."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.arange(size, dtype=np.float32)] * 3, indexing="ij", sparse=True)

    def smooth(coarse: int) -> np.ndarray:
        small = rng.standard_normal((coarse,) * 3).astype(np.float32)
        wide = zoom(gaussian_filter(small, 1.0), size / coarse, order=1)
        return np.asarray(wide[:size, :size, :size] / wide.std())

    phase = np.hypot(y - 0.4 * size, x + 0.3 * size) + 3.0 * smooth(8) + 0.02 * z

    def boxes(number: int, low: int, high: int) -> Iterator[tuple[slice, slice, slice]]:
        for _ in range(number):
            c, r = rng.integers(0, size, 3), int(rng.integers(low, high))
            yield tuple(slice(max(0, int(v - r)), int(v + r)) for v in c)

    area = size * size
    label = (phase % 16.0) < 3.0
    shifted = (phase + 0.6 * smooth(16)) % 16.0
    pred = (shifted > 0.3) & (shifted < 3.2)
    for i, box in enumerate(boxes(area // 100, 2, 6)):  # true holes, half of them predicted
        label[box] = False
        if i % 2:
            pred[box] = False
    for box in boxes(area // 50, 1, 4):  # holes that are not there
        pred[box] = False
    pred |= rng.random((size,) * 3, dtype=np.float32) < 4e-4  # specks
    for z0, y0, x0 in rng.integers(0, size, (area // 100, 3)).tolist():  # bridges across gaps
        pred[z0 : z0 + 2, max(0, y0 - 6) : y0 + 6, x0 : x0 + 2] = True
        pred[z0 : z0 + 2, y0 : y0 + 2, max(0, x0 - 6) : x0 + 6] = True
    for c in rng.integers(4, size - 4, (size // 2, 3)).tolist():  # bubbles in thick spots
        for mask in (pred, label):
            mask[tuple(slice(v - 3, v + 3) for v in c)] = True
            mask[tuple(slice(v - 1, v + 1) for v in c)] = False
        pred[c[0], c[1], c[2]] = rng.random() < 0.3
    out = label.astype(np.uint8)
    out[:, : size // 12] = 2  # a region nobody annotated
    return pred.astype(np.uint8), out


@contextmanager
def timed_parts() -> Iterator[dict[str, float]]:
    """Add up the seconds spent in each part while the block runs."""
    seconds: dict[str, float] = defaultdict(float)
    kept: list[tuple[Any, str, Callable[..., Any]]] = []

    def wrap(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[part] += time.process_time() - start

        return timed

    for part, places in PARTS.items():
        for module, name in places:
            kept.append((module, name, getattr(module, name)))
            setattr(module, name, wrap(part, getattr(module, name)))
    try:
        yield seconds
    finally:
        for module, name, function in kept:
            setattr(module, name, function)


def peak_bytes() -> int:
    """Return the most memory this process has held so far."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def time_library(pred: np.ndarray, label: np.ndarray) -> tuple[float, float, np.ndarray] | None:
    """Time Betti-Matching-3D on the same octants, if it can be imported."""
    try:
        library = importlib.import_module("betti_matching")
    except ImportError:
        return None
    counts = np.zeros((3, 3), np.int64)
    start, clock = time.process_time(), time.perf_counter()
    for box in betti_matching.octants(pred.shape):
        found = library.compute_matching(
            1.0 - pred[box],
            1.0 - label[box],
            include_input1_unmatched_pairs=True,
            include_input2_unmatched_pairs=True,
        )
        matched = np.asarray(found.num_matched)
        counts[:, 0] += matched
        counts[:, 1] += matched + np.asarray(found.num_unmatched_input1)
        counts[:, 2] += matched + np.asarray(found.num_unmatched_input2)
    return time.process_time() - start, time.perf_counter() - clock, counts


def main() -> None:
    """Run the benchmark and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="96 voxels a side, one repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    size, repeats = (96, 1) if args.quick else (args.size, args.repeats)

    pred, label = make_sheets(size)
    warm = np.random.default_rng(0).random((2, 24, 24, 24)) < 0.5
    compute_metrics(warm[0], warm[1])  # compile everything
    base = peak_bytes()
    best, clock, parts, values = float("inf"), 0.0, {}, {}
    for _ in range(repeats):
        with timed_parts() as seconds:
            start, begun = time.process_time(), time.perf_counter()
            values = compute_metrics(pred, label)
            total, wall = time.process_time() - start, time.perf_counter() - begun
        if total < best:
            best, clock, parts = total, wall, dict(seconds)
    peak = peak_bytes()

    lines = [
        f"Volume {size}^3, {platform.machine()}, {platform.system()}, one core, best of {repeats}.",
        "",
        "| part | CPU seconds | share |",
        "| --- | ---: | ---: |",
        *[f"| {p} | {s:.2f} | {100 * s / best:.0f} % |" for p, s in parts.items()],
        f"| everything else | {best - sum(parts.values()):.2f} "
        f"| {100 * (1 - sum(parts.values()) / best):.0f} % |",
        f"| **compute_metrics** | **{best:.2f}** | ({clock:.2f} by the clock) |",
        "",
        f"Peak memory {peak / 2**20:.0f} MiB, {(peak - base) / 2**20:.0f} MiB more than before "
        "scoring (arrays and imports).",
        "",
        "| dimension | matched | prediction | labels |",
        "| --- | ---: | ---: | ---: |",
    ]
    for dimension, name in enumerate(("components", "tunnels", "cavities")):
        row = [int(values[f"topo_{side}_{dimension}"]) for side in ("matched", "pred", "label")]
        lines.append(f"| {name} | {row[0]} | {row[1]} | {row[2]} |")
    lines.append("")
    pred_mask, label_mask = prepare_masks(pred, label)
    library = time_library(pred_mask, label_mask)
    if library is None:
        lines.append("Betti-Matching-3D is not installed here: nothing to compare with.")
    else:
        same = library[2].tolist() == [
            [values[f"topo_{side}_{d}"] for side in ("matched", "pred", "label")] for d in range(3)
        ]
        topology = sum(s for p, s in parts.items() if p.startswith("octants"))
        lines.append(
            f"Betti-Matching-3D on the same octants: {library[0]:.1f} CPU s "
            f"({library[1]:.1f} by the clock), "
            f"{library[0] / topology:.0f} times this topology part ({topology:.2f} s); "
            f"counts {'equal' if same else 'DIFFER: ' + str(library[2].tolist())}; "
            f"peak memory after it {peak_bytes() / 2**20:.0f} MiB."
        )
    text = "\n".join(lines)
    print(text)
    if args.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(f"# Score\n\n`python benchmarks/score.py`\n\n{text}\n")


if __name__ == "__main__":
    main()
