"""Baseline: a random forest on multi-scale filter responses.

What pixel-classification programs offer: at each scale a Gaussian, Laplacian of
Gaussian, gradient magnitude, and the eigenvalues of the structure tensor and of
the Hessian; up to 100 trees, as many as fit into the budget, on a random sample
of the annotated voxels.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from baseline_io import parse_arguments, write_result
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGMAS = (0.7, 1.0, 1.6, 2.5, 4.0)
NUM_SAMPLES = 100_000
NUM_TREES = 100
TREES_AT_ONCE = 10
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

    def at_scale(sigma: float) -> list[np.ndarray]:
        return [response.ravel()[rows] for response in _responses(image, sigma)]

    with ThreadPoolExecutor(num_threads) as pool:
        columns = [column for scale in pool.map(at_scale, SIGMAS) for column in scale]
    return np.stack([image.ravel()[rows], *columns], axis=-1, dtype=np.float32)


def _responses(image: np.ndarray, sigma: float) -> Iterator[np.ndarray]:
    yield ndimage.gaussian_filter(image, sigma)
    yield ndimage.gaussian_laplace(image, sigma)
    gradient = [_derivative(image, sigma, axis) for axis in range(3)]
    yield np.sqrt(sum(part**2 for part in gradient))
    yield from _eigenvalues(
        lambda i, j: ndimage.gaussian_filter(gradient[i] * gradient[j], 2 * sigma)
    )
    yield from _eigenvalues(partial(_derivative, image, sigma))


def _derivative(image: np.ndarray, sigma: float, *axes: int) -> np.ndarray:
    return ndimage.gaussian_filter(image, sigma, order=[axes.count(axis) for axis in range(3)])


def _eigenvalues(entry: Callable[[int, int], np.ndarray]) -> Iterator[np.ndarray]:
    """Eigenvalues, ascending, of the symmetric tensor with these entries."""
    upper = {(i, j): entry(i, j) for i in range(3) for j in range(i, 3)}
    tensor = np.empty((*upper[0, 0].shape, 3, 3), np.float32)
    for (i, j), values in upper.items():
        tensor[..., i, j] = tensor[..., j, i] = values
    values = np.linalg.eigvalsh(tensor)
    yield from (values[..., index] for index in range(3))


def main() -> None:
    """Fit the forest (timed), then classify the test volume slab by slab (not timed)."""
    arguments = parse_arguments(__doc__)
    image = tifffile.imread(arguments.train_image)
    labels = tifffile.imread(arguments.train_labels).ravel()
    threads = arguments.threads

    start = time.perf_counter()
    annotated = np.flatnonzero(labels != 2)
    rng = np.random.default_rng(arguments.seed)
    rows = rng.choice(annotated, size=min(NUM_SAMPLES, annotated.size), replace=False)
    features = compute_features(image, rows, threads)
    forest = RandomForestClassifier(
        0, min_samples_leaf=2, n_jobs=threads, random_state=arguments.seed, warm_start=True
    )
    while forest.n_estimators < NUM_TREES:
        forest.n_estimators += TREES_AT_ONCE
        forest.fit(features, labels[rows] == 1)
        elapsed = time.perf_counter() - start
        if elapsed > arguments.seconds:
            break

    test = tifffile.imread(arguments.test_image)
    probs = np.empty(test.shape, np.float32)
    for first in range(0, test.shape[0], SLAB_PLANES):
        last = min(first + SLAB_PLANES, test.shape[0])
        low, high = max(0, first - MARGIN_PLANES), min(test.shape[0], last + MARGIN_PLANES)
        plane = test[0].size
        rows = np.arange((first - low) * plane, (last - low) * plane)
        features = compute_features(test[low:high], rows, threads)
        probs[first:last] = forest.predict_proba(features)[:, 1].reshape(-1, *test.shape[1:])
    write_result(arguments.output, probs, train_seconds=elapsed, steps=forest.n_estimators)


if __name__ == "__main__":
    main()
