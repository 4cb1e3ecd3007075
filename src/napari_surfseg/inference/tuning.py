"""Choose the post-processing that scores best on data with labels.

One setting after the other is tried over a short list of values, twice around,
and the best is kept only if it raises the score: a search that cannot make the
validation score worse, and that a person can read afterwards line by line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surfaces.postprocess import PostProcess, apply_postprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Score = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]

__all__ = ["TuningStep", "tune_postprocess"]

#: A gain below this says nothing about other data and is not worth another setting.
MIN_GAIN = 1e-3

#: Components larger than this share of the data are never dropped: a small slab cannot tell
#: whether they are specks, and the score of other data fell when it was asked.
LARGEST_SPECK = 1e-3


@dataclass(frozen=True)
class TuningStep:
    """What trying one setting brought.

    Attributes
    ----------
    name : str
        The setting in plain words.
    settings : PostProcess
        The best found in this step.
    score : float
        With `settings`, on the data it was tuned on.
    gain : float
        Over the score before the step.
    kept : bool
        Whether the step's settings were taken over.
    num_tried : int
        Settings scored in this step.
    """

    name: str
    settings: PostProcess
    score: float
    gain: float
    kept: bool
    num_tried: int


def _probability(value: float) -> float:
    return round(min(0.95, max(0.02, value)), 3)


def _try_thresholds(best: PostProcess, _: int) -> list[PostProcess]:
    # Together: smoothing lowers the probability of a thin surface, so neither is good alone.
    return [
        replace(best, smoothing=smoothing, threshold=threshold, low_threshold=None)
        for smoothing in (0.0, 0.5, 1.0, 1.5)
        for threshold in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    ]


def _try_fine_thresholds(best: PostProcess, _: int) -> list[PostProcess]:
    return [
        replace(best, threshold=_probability(best.threshold + step))
        for step in (-0.04, -0.02, 0.02, 0.04)
        if best.low_threshold is None or best.low_threshold <= best.threshold + step
    ]


def _try_hysteresis(best: PostProcess, _: int) -> list[PostProcess]:
    base = best.threshold
    pairs = [
        (base + up, base - down) for up in (0.0, 0.15, 0.3) for down in (0.0, 0.1, 0.2) if up + down
    ]
    return [
        replace(best, threshold=_probability(high), low_threshold=_probability(low))
        for high, low in pairs
        if _probability(low) < _probability(high)
    ]


def _try_sizes(best: PostProcess, num_voxels: int) -> list[PostProcess]:
    return [replace(best, min_voxels=0)] + [
        replace(best, min_voxels=n, connectivity=connectivity)
        for connectivity in (26, 6)
        for n in (10, 30, 100, 300, 1000, 3000, 10000)
        if n <= max(10, LARGEST_SPECK * num_voxels)
    ]


def _try_closing(best: PostProcess, _: int) -> list[PostProcess]:
    floors = sorted({0.0, _probability(best.threshold / 4), _probability(best.threshold / 2)})
    return [replace(best, closing_radius=0, closing_floor=0.0)] + [
        replace(best, closing_radius=radius, closing_floor=floor)
        for radius in (1, 2, 3)
        for floor in floors
    ]


def _try_filling(best: PostProcess, _: int) -> list[PostProcess]:
    return [replace(best, fill_holes=n) for n in (0, 8, 64, 512)]


_STEPS: tuple[tuple[str, Callable[[PostProcess, int], list[PostProcess]]], ...] = (
    ("threshold and smoothing", _try_thresholds),
    ("component size", _try_sizes),
    ("hysteresis", _try_hysteresis),
    ("closing", _try_closing),
    ("filling cavities", _try_filling),
    ("component size, again", _try_sizes),
    ("threshold, finely", _try_fine_thresholds),
)


class _Scorer:
    """Scores settings on all volumes, each setting once."""

    def __init__(
        self,
        probs: Sequence[NDArray[np.uint8]],
        labels: Sequence[NDArray[np.uint8]],
        score: Score,
        ignore_index: int,
    ) -> None:
        self._pairs = list(zip(probs, labels, strict=True))
        self._weights = [int(np.count_nonzero(label != ignore_index)) for label in labels]
        self._score = score
        self._known: dict[PostProcess, float] = {}

    def __call__(self, settings: PostProcess) -> float:
        if settings not in self._known:
            values = [
                self._score(apply_postprocess(probs, settings), label)
                for probs, label in self._pairs
            ]
            self._known[settings] = float(np.average(values, weights=self._weights))
        return self._known[settings]


def _check(probs: Sequence[NDArray[Any]], labels: Sequence[NDArray[Any]], ignore: int) -> None:
    if not probs or len(probs) != len(labels):
        raise DataError(
            f"Tuning needs as many volumes of probabilities as of labels and at least one, "
            f"found {len(probs)} and {len(labels)}."
        )
    for i, (values, label) in enumerate(zip(probs, labels, strict=True)):
        if values.dtype != np.uint8:
            raise DataError(
                f"Probabilities for tuning must be uint8, 0 to 255, found {values.dtype} "
                f"in volume {i}."
            )
        if values.shape != label.shape:
            raise DataError(
                f"Probabilities and labels must have one shape, found {values.shape} and "
                f"{label.shape} in volume {i}."
            )
    if not any((label != ignore).any() for label in labels):
        raise DataError("Tuning needs labels, but every voxel of the volumes is ignored.")


def tune_postprocess(
    probs: Sequence[NDArray[np.uint8]],
    labels: Sequence[NDArray[np.uint8]],
    *,
    start: PostProcess | None = None,
    score: Score | None = None,
    ignore_index: int = 2,
    progress: Callable[[int, int, str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[PostProcess, list[TuningStep]]:
    """Search for the post-processing with the best score.

    Parameters
    ----------
    probs : sequence of uint8 array, shape (Z, Y, X)
        Predicted probabilities, 0 to 255, of volumes the network was not trained on.
    labels : sequence of uint8 array, shape (Z, Y, X)
        0, 1 and `ignore_index`.
    start : PostProcess, optional
        Where the search begins; a plain threshold of 0.5 if not given.
    score : callable, optional
        ``score(pred, label) -> float``, larger is better; the challenge's score
        if not given. Volumes count by their supervised voxels.
    ignore_index : int
        Label value that is not scored.
    progress : callable, optional
        Called with the settings tried so far, their number in all and what is tried.
    should_stop : callable, optional
        Asked before each setting; the best so far is returned if it says yes.

    Returns
    -------
    settings : PostProcess
        Never worse than `start` on these data.
    history : list of TuningStep
        The start, then one entry a step that was begun.

    Raises
    ------
    DataError
        If there is nothing to tune on.
    """
    _check(probs, labels, ignore_index)

    def challenge_score(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
        return compute_metrics(pred, label, ignore_index=ignore_index)["score"]

    scorer = _Scorer(probs, labels, score or challenge_score, ignore_index)
    best = start or PostProcess()
    num_voxels = sum(int(np.count_nonzero(label != ignore_index)) for label in labels)
    total = 1 + sum(len(candidates(best, num_voxels)) for _, candidates in _STEPS)
    done = 1
    if progress:
        progress(0, total, "start")
    best_score = scorer(best)
    history = [TuningStep("start", best, best_score, 0.0, True, 1)]
    for name, candidates in _STEPS:
        leader, leader_score = best, best_score
        num_tried, is_over = 0, False
        for settings in candidates(best, num_voxels):
            is_over = should_stop is not None and should_stop()
            if is_over:
                break
            value = scorer(settings)
            num_tried += 1
            if value > leader_score:
                leader, leader_score = settings, value
            done = min(done + 1, total)
            if progress:
                progress(done, total, name)
        gain = leader_score - best_score
        kept = gain > MIN_GAIN
        if num_tried:
            history.append(TuningStep(name, leader, leader_score, gain, kept, num_tried))
        if kept:
            best, best_score = leader, leader_score
        if is_over:
            return best, history
    if progress:
        progress(total, total, "done")
    return best, history
