"""Search for the post-processing that scores best on data with labels.

The search begins at a plain threshold of 0.5 and tries one setting after the other over a
short list of values. The risk is not to miss an improvement but to keep one that is chance:
the validation data are a slab, few events make up the topology score, and the best of twenty
values is also the luckiest. So the data are cut into pieces::

    validation data      +-----+-----+-----+-----+
    cut into pieces      |  1  |  2  |  3  |  4  |
                         +-----+-----+-----+-----+
    choose on the others       | best of 2, 3, 4 |
    measure on           |  1  |                     and so on: each is left out once

and a step is kept only if all of this holds (of most steps, see below):

- The pieces left out gain by values chosen without them: on average more than
  :data:`MIN_GAIN` and more than the standard error over the pieces, and at most a quarter of
  them lose.
- The value chosen on all pieces raises the score of the whole.
- Neither Dice nor surface Dice falls by more than :data:`MAX_LOSS`, whichever score the search
  raises; on the pieces, with those of the training sample below, not even where the loss is a
  standard error greater than its mean, as other data may lose that much. Of the parts of `score`
  surface Dice is the most reliable, a mean over thousands of places, where topology and
  variation of information depend on a few contacts. After too little training, sheets that
  run into each other raise `voi_score` by more than the lost surface Dice costs: a low
  threshold wins on the slab and loses elsewhere.
- On a *training sample*, a part of the training data as large, no score falls by more than
  that either. A slab at the end of a volume can differ from all the rest, which its own pieces
  cannot show. The network has seen these labels, so the sample has no part in the choice: it
  can only veto a step.

Two steps are known to do good as a rule, and leave the sheets as they are: dropping specks and
closing tears. They are kept unless these data say otherwise, as a slab holds too few of either to
prove anything (:meth:`_Search.decide_tidying`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_surfseg.errors import CancelledError, DataError
from napari_surfseg.geometry import box_shape, box_slices, split_box, whole_box
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess, smooth_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box

    #: The score that the search raises.
    Goal = Literal["score", "surface_dice", "dice"]
    Array = NDArray[np.uint8]
    Measure = Callable[[Array, Array], Mapping[str, float]]

__all__ = ["TuningData", "TuningStep", "cut_pieces", "list_steps", "tune_postprocess"]

#: A gain below this says nothing about other data and is not worth another setting.
MIN_GAIN = 1e-3

#: Less than this is no loss: what one voxel of a face changes, and rounding.
NO_LOSS = 3e-4

#: Greatest share of the left-out pieces that may lose by a step.
MAX_LOSING = 0.25

#: Scores that must not fall while `score` rises, and by how much they may all the same.
GUARDED = ("surface_dice", "dice")
MAX_LOSS = 0.002

#: Ways of smoothing whose results are kept: those of a step are tried again when one is chosen.
MAX_SMOOTHED = 4

#: Pieces the data are cut into: of eight, each was too small to measure topology.
NUM_PIECES = 4

#: Fewest supervised voxels of a piece, a cube of 16: a sheet and its neighbour still fit.
MIN_PIECE_VOXELS = 4096

#: Components of more voxel faces than this share of the data's voxels are never dropped: a small
#: slab does not show whether they are specks, and other data lost when they were tried.
LARGEST_SPECK = 1e-3
SPECK_AREAS = (50, 100, 20, 10, 5, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class TuningData:
    """Predicted probabilities and the labels they are compared with.

    Attributes
    ----------
    probs : sequence of uint8 array, shape (Z, Y, X)
        Probabilities, 0 to 255, a volume each.
    labels : sequence of uint8 array, shape (Z, Y, X)
        0, 1 and `ignore_index`, of the same shapes.
    ignore_index : int
        Label value that is not scored.
    """

    probs: Sequence[Array]
    labels: Sequence[Array]
    ignore_index: int = 2


@dataclass(frozen=True)
class TuningStep:
    """What trying one setting brought.

    Attributes
    ----------
    name : str
        The setting in plain words.
    settings : PostProcess
        The best values the step found.
    score : float
        With `settings`, on the data it was tuned on.
    gain : float
        On the pieces left out of the choice, on average.
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


# Each list begins with what changes least, or what has proved best on other data: of equally good
# values the first is taken.


def _try_thresholds(best: PostProcess, _: int) -> list[PostProcess]:
    return [
        replace(best, threshold=_probability(best.threshold + sign * step))
        for step in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
        for sign in (1, -1)
    ]


def _try_smoothing(best: PostProcess, _: int) -> list[PostProcess]:
    # Together: smoothing lowers the probability of a thin surface, so neither is good alone.
    return [
        replace(best, smoothing=smoothing, threshold=_probability(best.threshold - step))
        for smoothing in (0.5, 0.75, 1.0)
        for step in (0.0, 0.05, 0.1, 0.15)
    ]


def _try_sizes(best: PostProcess, num_voxels: int) -> list[PostProcess]:
    most = max(min(SPECK_AREAS), LARGEST_SPECK * num_voxels)
    return [
        replace(best, min_area=float(area), connectivity=connectivity)
        for connectivity in (6, 26)
        for area in SPECK_AREAS
        if area <= most
    ]


def _try_sheet_smoothing(best: PostProcess, _: int) -> list[PostProcess]:
    # Along a sheet little is lost, so the threshold moves less than with a ball.
    return [
        replace(best, sheet_smoothing=sigma, threshold=_probability(best.threshold + step))
        for sigma in (0.7, 1.0, 2.0)
        for step in (0.0, -0.05, 0.05, -0.1)
    ]


def _try_tears(best: PostProcess, _: int) -> list[PostProcess]:
    return [
        replace(best, tear_layers=layers, tear_floor=_probability(best.threshold * share))
        for layers, share in ((2, 0.5), (1, 0.5), (3, 0.5), (2, 0.25), (3, 0.25))
    ]


def _try_hysteresis(best: PostProcess, _: int) -> list[PostProcess]:
    base = best.threshold
    tried = [
        replace(best, threshold=_probability(base + up), low_threshold=_probability(base - down))
        for up, down in ((0.15, 0), (0, 0.1), (0.15, 0.1), (0.3, 0), (0, 0.2), (0.3, 0.1))
    ]
    return [s for s in tried if s.low_threshold is not None and s.low_threshold < s.threshold]


def _try_closing(best: PostProcess, _: int) -> list[PostProcess]:
    # The higher the floor, the less is plugged.
    return [
        replace(best, closing_radius=radius, closing_floor=_probability(best.threshold * share))
        for radius in (1, 2, 3)
        for share in (0.5, 0.25, 0.0)
    ]


def _try_filling(best: PostProcess, _: int) -> list[PostProcess]:
    return [replace(best, fill_holes=n) for n in (8, 64, 512)]


@dataclass(frozen=True)
class _Kind:
    """One step of the search."""

    name: str
    values: Callable[[PostProcess, int], list[PostProcess]]
    moves_threshold: bool = False
    #: It takes away or adds a few voxels where something is wrong as a rule, and leaves the sheets
    #: as they are: kept unless the data say otherwise, see :meth:`_Search.decide_tidying`.
    is_tidying: bool = False


#: Dropping specks and closing tears leaves the sheets as they are and comes before smoothing, which
#: does some of both but changes the sheets as well.
_STEPS = (
    _Kind("threshold", _try_thresholds, moves_threshold=True),
    _Kind("component size", _try_sizes, is_tidying=True),
    _Kind("closing tears", _try_tears, is_tidying=True),
    _Kind("smoothing along sheets", _try_sheet_smoothing, moves_threshold=True),
    _Kind("smoothing", _try_smoothing, moves_threshold=True),
    _Kind("hysteresis", _try_hysteresis, moves_threshold=True),
    _Kind("closing", _try_closing),
    _Kind("filling cavities", _try_filling),
)


def list_steps(with_threshold: bool = True) -> list[str]:
    """Name the steps of the search in their order.

    Parameters
    ----------
    with_threshold : bool
        As in :func:`tune_postprocess`.
    """
    return [step.name for step in _STEPS if with_threshold or not step.moves_threshold]


def cut_pieces(label: Array, most: int, ignore_index: int = 2) -> list[Box]:
    """Cut a volume into boxes of about as much annotation each.

    The box with the most supervised voxels is halved, again and again, across the
    longest edge that leaves surface and enough voxels to be scored in both halves.

    Parameters
    ----------
    label : uint8 array, shape (Z, Y, X)
        0, 1 and `ignore_index`.
    most : int
        Boxes wanted.
    ignore_index : int
        Label value that is not supervised.

    Returns
    -------
    list of Box
        From one, the whole volume, to `most`.
    """

    def count_supervised(box: Box) -> int:
        return int(np.count_nonzero(label[box_slices(box)] != ignore_index))

    def is_enough(box: Box) -> bool:
        return count_supervised(box) >= MIN_PIECE_VOXELS and bool(
            (label[box_slices(box)] == 1).any()
        )

    boxes = [whole_box(label.shape)]
    whole: list[Box] = []
    while boxes and len(boxes) + len(whole) < most:
        box = max(boxes, key=count_supervised)
        boxes.remove(box)
        extent = box_shape(box)
        axes = sorted((i for i in range(3) if extent[i] > 1), key=lambda i: -extent[i])
        cuts = (split_box(box, axis, 2) for axis in axes)
        halves = next((cut for cut in cuts if all(map(is_enough, cut))), None)
        if halves is None:
            whole.append(box)
        else:
            boxes += halves
    return [*whole, *boxes]


class _Scorer:
    """Scores settings on volumes, as a whole and piece by piece, each setting once."""

    def __init__(self, data: TuningData, measure: Measure) -> None:
        ignore_index = data.ignore_index
        weights = [int(np.count_nonzero(label != ignore_index)) for label in data.labels]
        # A volume without annotation cannot be scored.
        self._triples = [t for t in zip(data.probs, data.labels, weights, strict=True) if t[2]]
        self.num_voxels = sum(weights)
        self._measure = measure
        share = -(-NUM_PIECES // max(1, len(self._triples)))
        self._boxes = [
            [
                piece
                for piece in map(box_slices, cut_pieces(label, share, ignore_index))
                if np.any(label[piece] != ignore_index)
            ]
            for _, label, _ in self._triples
        ]
        self._smoothed: dict[PostProcess, list[Array | NDArray[np.float32]]] = {}
        self._pieces: dict[PostProcess, dict[str, NDArray[np.float64]]] = {}
        self._whole: dict[PostProcess, dict[str, float]] = {}

    @property
    def num_pieces(self) -> int:
        return sum(map(len, self._boxes))

    def on_pieces(self, settings: PostProcess) -> dict[str, NDArray[np.float64]]:
        """Score each piece, of masks that were made of the whole."""
        if settings not in self._pieces:
            rows = []
            masks = self._make_masks(settings)
            for mask, (_, label, _), boxes in zip(masks, self._triples, self._boxes, strict=True):
                rows += [self._measure(mask[box], label[box]) for box in boxes]
            self._pieces[settings] = {
                name: np.array([row[name] for row in rows])
                for name in ("score", *GUARDED)
                if name in rows[0]
            }
        return self._pieces[settings]

    def on_whole(self, settings: PostProcess) -> dict[str, float]:
        """Average `score` and :data:`GUARDED` over the volumes, weighted by supervised voxels."""
        if settings not in self._whole:
            masks = self._make_masks(settings)
            rows = [
                self._measure(mask, label)
                for mask, (_, label, _) in zip(masks, self._triples, strict=True)
            ]
            weights = [weight for _, _, weight in self._triples]
            self._whole[settings] = {
                name: float(np.average([row[name] for row in rows], weights=weights))
                for name in ("score", *GUARDED)
                if name in rows[0]
            }
        return self._whole[settings]

    def _make_masks(self, settings: PostProcess) -> Iterator[Array]:
        """Process the volumes; what was smoothed once, which takes most of the time, stays so."""
        how = PostProcess(smoothing=settings.smoothing, sheet_smoothing=settings.sheet_smoothing)
        if how not in self._smoothed:
            while len(self._smoothed) >= MAX_SMOOTHED:
                del self._smoothed[next(iter(self._smoothed))]
            self._smoothed[how] = [smooth_probabilities(p, how) for p, _, _ in self._triples]
        rest = replace(settings, smoothing=0.0, sheet_smoothing=0.0)
        return (apply_postprocess(values, rest) for values in self._smoothed[how])


def _choose(gains: NDArray[np.float64]) -> int:
    """Choose the row with the greatest mean; of equally good ones, the first."""
    means = gains.mean(axis=1)
    return int(np.argmax(means > means.max() - MIN_GAIN))


class _Search:
    """The best settings so far, and the conditions under which others replace them."""

    def __init__(
        self, scorer: _Scorer, training_scorer: _Scorer | None, start: PostProcess, goal: Goal
    ) -> None:
        self._scorer = scorer
        self._training_scorer = training_scorer
        self._goal = goal
        self.best = start
        self._kept = [start]

    @property
    def score(self) -> float:
        return self.score_of(self.best)

    def score_of(self, settings: PostProcess) -> float:
        return self._scorer.on_whole(settings)[self._goal]

    def score_pieces(self, settings: PostProcess) -> None:
        self._scorer.on_pieces(settings)

    def decide(self, tried: Sequence[PostProcess]) -> tuple[PostProcess, float, bool]:
        """Choose among settings that were tried: the choice, its gain, whether to keep it."""
        rows = list(tried)
        here = self._scorer.on_pieces(self.best)[self._goal]
        gains = np.array([self._scorer.on_pieces(each)[self._goal] - here for each in rows])
        while rows:
            chosen = _choose(gains)
            if self._is_allowed(rows[chosen]):
                gain, is_real = _cross_check(gains)
                return rows[chosen], gain, is_real
            del rows[chosen]
            gains = np.delete(gains, chosen, axis=0)
        return self.best, 0.0, False

    def decide_tidying(self, tried: Sequence[PostProcess]) -> tuple[PostProcess, float, bool]:
        """Choose among settings that do good as a rule: kept unless these data say otherwise.

        A slab holds few specks and tears, so that it can hardly prove what is known of many other
        data (``benchmarks/results/postprocess.md``). All there is has a say, the training sample as
        well: it only dilutes what the slab says if the network knows it by heart. Of those with
        which the goal does not fall, on the slab or on both together, the best is taken, of
        equally good ones the first.
        """
        gains = []
        for settings in tried:
            on_slab = self._gain(self._scorer, settings)
            gain = on_slab
            if self._training_scorer is not None:
                gain = (on_slab + self._gain(self._training_scorer, settings)) / 2
            is_allowed = min(on_slab, gain) > -NO_LOSS and self._is_guarded(settings)
            gains.append(gain if is_allowed else -math.inf)
        best = max(gains)
        if best == -math.inf:
            return self.best, 0.0, False
        chosen = next(i for i, gain in enumerate(gains) if gain > best - MIN_GAIN)
        return tried[chosen], gains[chosen], True

    def keep(self, settings: PostProcess) -> None:
        self.best = settings
        self._kept.append(settings)

    def _gain(self, scorer: _Scorer, settings: PostProcess) -> float:
        return scorer.on_whole(settings)[self._goal] - scorer.on_whole(self.best)[self._goal]

    def _is_allowed(self, settings: PostProcess) -> bool:
        if self.score_of(settings) <= self.score or not self._is_guarded(settings):
            return False
        training = self._training_scorer
        return training is None or self._find_loss(training, settings, self._goal) <= MAX_LOSS

    def _is_guarded(self, settings: PostProcess) -> bool:
        """Whether the scores that must not fall do not, on the slab and the training sample."""
        scorers = [self._scorer]
        if self._training_scorer is not None:
            scorers.append(self._training_scorer)
        for name in GUARDED:
            if name not in self._scorer.on_whole(settings):
                continue
            if any(self._find_loss(scorer, settings, name) > MAX_LOSS for scorer in scorers):
                return False
        return self._loses_little_elsewhere(scorers, settings)

    def _loses_little_elsewhere(self, scorers: Sequence[_Scorer], settings: PostProcess) -> bool:
        """Whether the pieces say that other data lose little too, if they have less luck."""
        now = [scorer.on_pieces(settings) for scorer in scorers]
        earlier = [[scorer.on_pieces(kept) for scorer in scorers] for kept in self._kept]
        for name in GUARDED:
            if name not in now[0]:
                continue
            best = max((_join(rows, name) for rows in earlier), key=np.mean)
            lost = best - _join(now, name)
            error = float(lost.std(ddof=1)) / math.sqrt(len(lost))
            if lost.mean() + error > MAX_LOSS:
                return False
        return True

    def _find_loss(self, scorer: _Scorer, settings: PostProcess, name: str) -> float:
        """Compare a score with the best it had, so that losses do not add up."""
        best = max(scorer.on_whole(kept)[name] for kept in self._kept)
        return best - scorer.on_whole(settings)[name]


def _join(rows: Sequence[Mapping[str, NDArray[np.float64]]], name: str) -> NDArray[np.float64]:
    return np.concatenate([row[name] for row in rows])


def _cross_check(gains: NDArray[np.float64]) -> tuple[float, bool]:
    """Gain on each piece by what the others would choose: its mean, and whether it is real."""
    number = gains.shape[1]
    left_out = np.array(
        [gains[_choose(np.delete(gains, piece, axis=1)), piece] for piece in range(number)]
    )
    error = float(left_out.std(ddof=1)) / math.sqrt(number)
    gain = float(left_out.mean())
    num_losing = int(np.count_nonzero(left_out < 0))
    return gain, gain > max(MIN_GAIN, error) and num_losing <= MAX_LOSING * number


def _check(data: TuningData) -> None:
    probs: Sequence[NDArray[Any]] = data.probs
    labels: Sequence[NDArray[Any]] = data.labels
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
    if not any((label != data.ignore_index).any() for label in labels):
        raise DataError("Tuning needs labels, but every voxel of the volumes is ignored.")


def tune_postprocess(
    data: TuningData,
    *,
    start: PostProcess | None = None,
    measure: Measure | None = None,
    training_sample: TuningData | None = None,
    goal: Goal = "score",
    with_threshold: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[PostProcess, list[TuningStep]]:
    """Search for the post-processing with the best score.

    Parameters
    ----------
    data : TuningData
        Of volumes the network was not trained on.
    start : PostProcess, optional
        Where the search begins; a plain threshold of 0.5 if not given.
    measure : callable, optional
        ``measure(pred, label) -> {"score": ..., "surface_dice": ..., "dice": ...}``,
        larger is better; those that are not the goal may be missing. The metrics in voxels if not
        given. Volumes count by their supervised voxels.
    training_sample : TuningData, optional
        Of volumes the network was trained on; it can only veto a step.
    goal : str
        The score that is raised, one that ``measure`` gives.
    with_threshold : bool
        Also move the threshold; False where a person has set it.
    progress : callable, optional
        Called with the settings tried so far, their number in all and what is tried.
    should_stop : callable, optional
        Asked before each setting; the best so far is returned if it says yes, and also if
        ``measure`` raises :class:`CancelledError`.

    Returns
    -------
    settings : PostProcess
        Never worse than `start` on these data. `start` itself where they are too
        few to be cut into pieces.
    history : list of TuningStep
        The start, then one entry a step that was begun; the start alone where
        nothing could be tried.

    Raises
    ------
    DataError
        If there is nothing to tune on.
    """
    _check(data)

    def in_voxels(pred: Array, label: Array) -> Mapping[str, float]:
        return compute_metrics(pred, label, ignore_index=data.ignore_index)

    measure = measure or in_voxels
    scorer = _Scorer(data, measure)
    training_scorer = None if training_sample is None else _Scorer(training_sample, measure)
    if training_scorer is not None and not training_scorer.num_voxels:
        training_scorer = None
    search = _Search(scorer, training_scorer, start or PostProcess(), goal)
    steps = [step for step in _STEPS if with_threshold or not step.moves_threshold]
    total = 1 + sum(len(step.values(search.best, scorer.num_voxels)) for step in steps)
    done = 1
    if progress:
        progress(0, total, "start")
    history = [TuningStep("start", search.best, search.score, 0.0, True, 1)]
    if scorer.num_pieces < 2:
        return search.best, history
    try:
        for step in steps:
            tried: list[PostProcess] = []
            is_over = False
            for settings in step.values(search.best, scorer.num_voxels):
                is_over = should_stop is not None and should_stop()
                if is_over:
                    break
                search.score_pieces(settings)
                tried.append(settings)
                done = min(done + 1, total)
                if progress:
                    progress(done, total, step.name)
            if tried:
                decide = search.decide_tidying if step.is_tidying else search.decide
                chosen, gain, kept = decide(tried)
                history.append(
                    TuningStep(step.name, chosen, search.score_of(chosen), gain, kept, len(tried))
                )
                if kept:
                    search.keep(chosen)
            if is_over:
                return search.best, history
    except CancelledError:
        return search.best, history
    if progress:
        progress(total, total, "done")
    return search.best, history
