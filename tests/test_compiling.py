"""Compiled loops where nothing can be written, and on several threads."""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.score import compute_metrics


def test_without_a_cache_folder_functions_are_compiled_all_the_same(monkeypatch):
    plain = numba.njit

    def njit(*args, cache=False, **kwargs):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(*args, **kwargs)

    monkeypatch.setattr(numba, "njit", njit)

    @compiled
    def double(values):
        return values * 2

    assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_scores_can_be_computed_on_several_threads():
    rng = np.random.default_rng(0)
    pairs = [(rng.random((2, 16, 16, 16)) < 0.4).astype(np.uint8) for _ in range(4)]
    expected = [compute_metrics(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda pair: compute_metrics(*pair), pairs)) == expected
