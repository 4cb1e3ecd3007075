"""Baseline: a random forest on multi-scale filter responses.

What pixel-classification programs offer, as somebody who knows them would set it up: at
each scale a Gaussian, Laplacian of Gaussian, gradient magnitude, and the eigenvalues of the
structure tensor and of the Hessian, in float32; up to 100 trees, as many as fit into the
budget, on as many voxels of surface as of background; the threshold by the voxels that each
tree has not seen.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from baseline_io import choose_threshold, parse_arguments, write_result
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGMAS = (0.7, 1.0, 1.6, 2.5, 4.0)
#: Sampled from the surface, and as many from the background.
NUM_SAMPLES_EACH = 25_000
NUM_TREES = 100
TREES_AT_ONCE = 20
#: Planes classified at once, and the planes around them that the widest filters see.
SLAB_PLANES = 32
MARGIN_PLANES = 32


def compute_features(image: np.ndarray, rows: np.ndarray, num_threads: int) -> np.ndarray:
    """Filter responses at some voxels, shape (voxels, features), float32.

    Parameters
    ----------
    image : ndarray
        Volume, ZYX.
    rows : ndarray of int
        Flat indices of the voxels that are wanted.
    num_threads : int
        Scales worked on at a time.
    """
    image = image.astype(np.float32)
    with ThreadPoolExecutor(num_threads) as pool:
        scales = pool.map(lambda sigma: list(_responses(image, sigma, rows)), SIGMAS)
        columns = [column for scale in scales for column in scale]
    return np.stack([image.ravel()[rows], *columns], axis=-1, dtype=np.float32)


def _responses(image: np.ndarray, sigma: float, rows: np.ndarray) -> Iterator[np.ndarray]:
    """At the rows alone: eigenvalues are dear, and few voxels are learned from."""
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    yield ndimage.gaussian_filter(image, sigma).ravel()[rows]
    gradient = [_derivative(image, sigma, axis) for axis in range(3)]
    yield np.sqrt(sum(part.ravel()[rows] ** 2 for part in gradient))
    products = (ndimage.gaussian_filter(gradient[i] * gradient[j], 2 * sigma) for i, j in pairs)
    yield from _eigenvalues([product.ravel()[rows] for product in products])
    hessian = [_derivative(image, sigma, i, j).ravel()[rows] for i, j in pairs]
    yield hessian[0] + hessian[3] + hessian[5]
    yield from _eigenvalues(hessian)


def _derivative(image: np.ndarray, sigma: float, *axes: int) -> np.ndarray:
    return ndimage.gaussian_filter(image, sigma, order=[axes.count(axis) for axis in range(3)])


def _eigenvalues(upper: list[np.ndarray]) -> list[np.ndarray]:
    """Eigenvalues, ascending, of symmetric 3x3 matrices with these upper entries, row by row."""
    aa, ab, ac, bb, bc, cc = upper
    mean = (aa + bb + cc) / 3
    off = ab**2 + ac**2 + bc**2
    aa, bb, cc = aa - mean, bb - mean, cc - mean
    size = np.sqrt((aa**2 + bb**2 + cc**2 + 2 * off) / 6) + 1e-12
    determinant = aa * (bb * cc - bc**2) - ab * (ab * cc - bc * ac) + ac * (ab * bc - bb * ac)
    angle = np.arccos(np.clip(determinant / (2 * size**3), -1, 1)) / 3
    largest = mean + 2 * size * np.cos(angle)
    smallest = mean + 2 * size * np.cos(angle + 2 * np.pi / 3)
    return [smallest, 3 * mean - largest - smallest, largest]


def main() -> None:
    """Fit the forest (timed), then classify the test volume slab by slab (not timed)."""
    arguments = parse_arguments(__doc__)
    image = tifffile.imread(arguments.train_image)
    labels = tifffile.imread(arguments.train_labels).ravel()
    threads = arguments.threads

    start = time.perf_counter()
    rng = np.random.default_rng(arguments.seed)
    rows, weights = [], []
    for value in (0, 1):
        places = np.flatnonzero(labels == value)
        chosen = rng.choice(places, size=min(NUM_SAMPLES_EACH, places.size), replace=False)
        rows.append(chosen)
        weights.append(np.full(chosen.size, places.size / max(chosen.size, 1)))
    rows, weights = np.concatenate(rows), np.concatenate(weights)
    is_surface = labels[rows] == 1
    features = compute_features(image, rows, threads)
    forest = RandomForestClassifier(
        0,
        min_samples_leaf=2,
        n_jobs=threads,
        random_state=arguments.seed,
        warm_start=True,
    )
    while forest.n_estimators < NUM_TREES:
        forest.n_estimators += TREES_AT_ONCE
        # The last trees also find what the voxels they have not seen are taken for.
        forest.oob_score = forest.n_estimators == NUM_TREES
        forest.fit(features, is_surface)
        elapsed = time.perf_counter() - start
        if elapsed > arguments.seconds:
            break
    threshold = 0.5
    if hasattr(forest, "oob_decision_function_"):
        unseen = forest.oob_decision_function_[:, 1]
        known = np.isfinite(unseen)
        threshold = choose_threshold(unseen[known], is_surface[known], weights[known])

    test = tifffile.imread(arguments.test_image)
    probs = np.empty(test.shape, np.float32)
    for first in range(0, test.shape[0], SLAB_PLANES):
        last = min(first + SLAB_PLANES, test.shape[0])
        low, high = max(0, first - MARGIN_PLANES), min(test.shape[0], last + MARGIN_PLANES)
        plane = test[0].size
        rows = np.arange((first - low) * plane, (last - low) * plane)
        features = compute_features(test[low:high], rows, threads)
        probs[first:last] = forest.predict_proba(features)[:, 1].reshape(-1, *test.shape[1:])
    write_result(
        arguments.output,
        probs,
        train_seconds=elapsed,
        steps=forest.n_estimators,
        threshold=threshold,
    )


if __name__ == "__main__":
    main()
