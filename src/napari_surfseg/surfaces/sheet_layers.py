"""Layers: a whole number for each fragment, from what pairs of fragments say of its difference.

Each link votes that two fragments differ by so many layers. Clusters of fragments, in which
differences are settled, are joined in the order of how clear the votes between them are, and the
votes of joined clusters are added up: what few links say against many is overruled, and is decided
last. With steps of 0 alone this is greedy additive edge contraction for the multicut problem
(Keuper et al., ICCV 2015); the differences make it one of synchronisation, as groups of images or
of windings are ordered.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["settle_layers"]


def settle_layers(
    number: int,
    pairs: NDArray[np.int64],
    steps: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    modulus: int = 0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the layer of each fragment.

    Parameters
    ----------
    number : int
        Of fragments.
    pairs : int array, shape (K, 2)
        Links.
    steps : int array, shape (K,)
        Layer of the second minus that of the first.
    weights : float array, shape (K,)
        Votes.
    modulus : int
        Layers are counted modulo this: 2 for sides; 0 is not.

    Returns
    -------
    clusters, layers : int64 arrays, shape (number,)
        Layers of fragments of one cluster can be compared.
    """
    votes: list[dict[int, dict[int, float]]] = [{} for _ in range(number)]

    def vote(a: int, b: int, step: int, weight: float) -> None:
        back = -step
        if modulus:
            step, back = step % modulus, back % modulus
        for one, other, difference in ((a, b, step), (b, a, back)):
            tally = votes[one].setdefault(other, {})
            tally[difference] = tally.get(difference, 0.0) + weight

    for (a, b), step, weight in zip(pairs.tolist(), steps.tolist(), weights.tolist(), strict=True):
        if a != b:
            vote(a, b, step, weight)
    members: list[list[int]] = [[i] for i in range(number)]
    layer = [0] * number
    alive = [True] * number
    heap = []
    for a in range(number):
        for b, tally in votes[a].items():
            if a < b:
                clear, step = _decide(tally)
                heap.append((-clear, a, b, step))
    heapq.heapify(heap)
    count = 0
    while heap:
        minus, a, b, step = heapq.heappop(heap)
        if not (alive[a] and alive[b]) or b not in votes[a]:
            continue
        clear, now = _decide(votes[a][b])
        if (clear, now) != (-minus, step):
            continue
        count += 1
        if count % 4096 == 0:
            raise_if_stopped()
        # The larger stays; the smaller is shifted so that its layers fit.
        if len(votes[a]) < len(votes[b]):
            a, b, step = b, a, -step
        del votes[a][b]
        del votes[b][a]
        for node in members[b]:
            layer[node] += step
        members[a] += members[b]
        members[b] = []
        alive[b] = False
        for other, tally in votes[b].items():
            del votes[other][b]
            for difference, weight in tally.items():
                # tally: layer of other minus that of b; b lies step above a.
                vote(a, other, difference + step, weight)
            low, high = (a, other) if a < other else (other, a)
            clear, best = _decide(votes[low][high])
            heapq.heappush(heap, (-clear, low, high, best))
        votes[b] = {}
    clusters = np.zeros(number, np.int64)
    for i, nodes in enumerate(members):
        clusters[nodes] = i
    return clusters, np.asarray(layer, np.int64)


def _decide(tally: dict[int, float]) -> tuple[float, int]:
    """Return by how much the strongest opinion outweighs all others, and the opinion.

    Where none outweighs the rest, two clusters are not taken for one layer.
    """
    best = max(tally, key=lambda step: (tally[step], -abs(step), step))
    clear = 2 * tally[best] - sum(tally.values())
    if clear <= 0 and best == 0:
        best = max(tally.keys() - {0}, key=lambda step: (tally[step], -abs(step), step))
    return clear, best
