"""Baseline: a random forest on multi-scale filter responses.

What pixel-classification programs offer: at each scale a Gaussian, Laplacian of
Gaussian, gradient magnitude, and the eigenvalues of the structure tensor and of
the Hessian; 100 trees on a random sample of the annotated voxels.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from baseline_io import parse_arguments, write_result
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGMAS = (0.7, 1.0, 1.6, 2.5, 4.0)
NUM_SAMPLES = 200_000
NUM_TREES = 100
#: Planes predicted at once; the filters reach four sigmas (doubled for the structure tensor).
SLAB_PLANES = 32
MARGIN_PLANES = 32


def compute_features(image: np.ndarray) -> np.ndarray:
    """Filter responses of a volume, shape (Z, Y, X, features), float32."""
    return np.stack(list(_responses(image.astype(np.float32))), axis=-1)


def _responses(image: np.ndarray) -> Iterator[np.ndarray]:
    yield image
    for sigma in SIGMAS:
        yield ndimage.gaussian_filter(image, sigma)
        yield ndimage.gaussian_laplace(image, sigma)
        gradient = [_derivative(image, sigma, (axis,)) for axis in range(3)]
        yield np.sqrt(sum(part**2 for part in gradient))
        tensor = _symmetric(
            lambda i, j, g=gradient, s=sigma: ndimage.gaussian_filter(g[i] * g[j], 2 * s)
        )
        yield from _eigenvalues(tensor)
        hessian = _symmetric(lambda i, j, s=sigma: _derivative(image, s, (i, j)))
        yield from _eigenvalues(hessian)


def _derivative(image: np.ndarray, sigma: float, axes: tuple[int, ...]) -> np.ndarray:
    return ndimage.gaussian_filter(image, sigma, order=[axes.count(axis) for axis in range(3)])


def _symmetric(entry) -> np.ndarray:
    entries = {(i, j): entry(i, j) for i in range(3) for j in range(i, 3)}
    rows = [np.stack([entries[min(i, j), max(i, j)] for j in range(3)], axis=-1) for i in range(3)]
    return np.stack(rows, axis=-2)


def _eigenvalues(tensor: np.ndarray) -> Iterator[np.ndarray]:
    values = np.linalg.eigvalsh(tensor)
    yield from (values[..., index].astype(np.float32) for index in range(3))


def main() -> None:
    """Fit the forest (timed), then classify the test volume slab by slab (not timed)."""
    arguments = parse_arguments(__doc__)
    image = tifffile.imread(arguments.train_image)
    labels = tifffile.imread(arguments.train_labels)
    start = time.perf_counter()
    annotated = np.flatnonzero(labels.ravel() != 2)
    rng = np.random.default_rng(arguments.seed)
    chosen = rng.choice(annotated, size=min(NUM_SAMPLES, annotated.size), replace=False)
    features = compute_features(image)
    forest = RandomForestClassifier(
        NUM_TREES,
        min_samples_leaf=2,
        n_jobs=arguments.threads or -1,
        random_state=arguments.seed,
    )
    forest.fit(features.reshape(-1, features.shape[-1])[chosen], labels.ravel()[chosen] == 1)
    train_seconds = time.perf_counter() - start
    del features

    test = tifffile.imread(arguments.test_image)
    probs = np.empty(test.shape, np.float32)
    for first in range(0, test.shape[0], SLAB_PLANES):
        last = min(first + SLAB_PLANES, test.shape[0])
        low, high = max(0, first - MARGIN_PLANES), min(test.shape[0], last + MARGIN_PLANES)
        rows = compute_features(test[low:high])[first - low : last - low]
        votes = forest.predict_proba(rows.reshape(-1, rows.shape[-1]))[:, 1]
        probs[first:last] = votes.reshape(rows.shape[:3])
    write_result(arguments.output, probs, train_seconds=train_seconds, steps=NUM_TREES)


if __name__ == "__main__":
    main()
