"""Hand-made predictions: slabs with something wrong at a known place."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def slabs():
    """Two sheets, two voxels thick, as a network that is sure of them predicts them."""
    probs = np.zeros((40, 48, 48), np.uint8)
    for z in (12, 26):
        probs[z - 1 : z + 3] = 70
        probs[z : z + 2] = 235
    return probs


@pytest.fixture
def planted(slabs):
    """Return a function that plants something of one kind; gives the arrays and the place."""

    def plant(kind, probs=slabs):
        probs = probs.copy()
        arrays = {}
        if kind == "hole":
            probs[11:15, 20:24, 20:24] = 90
            place = (12, 21, 21)
        elif kind == "bridge":
            probs[14:26, 23:25, 23:25] = 150
            place = (20, 24, 24)
        elif kind == "loose end":
            probs[11:15, :, 22:27] = 30
            place = (12, 24, 24)
        elif kind == "small piece":
            probs[18:22, 20:24, 20:24] = 165
            place = (19, 21, 21)
        elif kind == "uncertain":
            probs[12:14, 18:30, 18:30] = 132
            place = (12, 24, 24)
        else:
            now = np.zeros_like(probs)
            now[12:14] = probs[12:14]
            before = probs.copy()
            before[11:15, 18:30, 18:30] = 10
            arrays["earlier" if kind == "flickering" else "other"] = before
            place = (12, 24, 24)
        return probs, arrays, place

    return plant
