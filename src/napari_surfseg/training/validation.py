"""Score the averaged weights on the validation data."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import is_stop_wanted, raise_if_stopped
from napari_surfseg.data.labels import FOREGROUND, IGNORE
from napari_surfseg.data.strokes.density import DENSE_SHARE, count_annotated_near_surface
from napari_surfseg.geometry import count_voxels, in_finest_voxels
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.window_size import choose_fitting_window
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.training.threshold import choose_threshold
from napari_surfseg.training.validation_regions import MAX_VOXELS, choose_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.settings import Flips, PredictionSettings
    from napari_surfseg.training.validation_regions import ValidationRegion

__all__ = ["ValidationResult", "Validator"]

#: Voxels of image around a region that the network sees as well, as it will when it predicts.
CONTEXT = 16


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes
    ----------
    metrics : dict
        Means over the regions, weighted by their supervised voxels; on strokes the
        scores that are counted voxel by voxel, over all of them together. Empty where no
        surface is annotated.
    threshold : float
        The probability at which they were scored.
    seconds : float
        Time it took.
    probabilities : list of array
        uint8, one a region.
    num_annotated, num_surface : int
        Voxels it was made on.
    is_sparse : bool
        Whether these are strokes.
    volumes : list of dict
        Where several volumes were scored, a row each: ``image``, ``num_annotated``, ``metrics``.
    """

    metrics: dict[str, float]
    threshold: float
    seconds: float
    probabilities: list[NDArray[np.uint8]]
    num_annotated: int = 0
    num_surface: int = 0
    is_sparse: bool = False
    volumes: list[dict[str, Any]] = field(default_factory=list)


class Validator:
    """Holds the validation regions and scores networks on them.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Validation volumes.
    cache : VolumeCache
        Shared with the loader.
    settings : PredictionSettings
        How the network is slid over a region; its window is the training patch.
    tolerance : float
        Of ``surface_dice``, in voxels of the finest axis.
    fixed_threshold : float, optional
        Score at this threshold instead of choosing one.
    seed : int
        For the choice of regions.
    flips : bool or "auto"
        Whether whole volumes will be predicted with flips.
    max_voxels : int, optional
        Voxels scored at most; by default what suits the device.

    Notes
    -----
    A slab is predicted with the image around it, the training part's included, as
    it would be within a whole volume. Cut off from it, a network that knows the two
    sides of a sheet by what lies further away is unsure of all of them, and
    thresholds chosen there suit no other place. Labels never leave their part.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        cache: VolumeCache,
        settings: PredictionSettings,
        *,
        tolerance: float,
        fixed_threshold: float | None,
        seed: int,
        flips: Flips = False,
        max_voxels: int | None = None,
    ) -> None:
        self._pairs = list(pairs)
        self._cache = cache
        self._settings = replace(settings, context=CONTEXT)
        self._tolerance = tolerance
        self._seed = seed
        self._flips = flips
        self.fixed_threshold = fixed_threshold
        self.regions = choose_regions(
            pairs, max_voxels=max_voxels or MAX_VOXELS[settings.device_type], seed=seed
        )
        self._images = [
            cache.view(pair.open_image(settings.known_intensity)) for pair in self._pairs
        ]
        self._targets = [cache.view(pair.open_targets()) for pair in self._pairs]

    def over(self, pairs: Sequence[CheckedPair], *, max_voxels: int) -> Validator:
        """Make one with the same settings over other volumes."""
        return Validator(
            pairs,
            self._cache,
            self._settings,
            tolerance=self._tolerance,
            fixed_threshold=self.fixed_threshold,
            seed=self._seed,
            flips=self._flips,
            max_voxels=max_voxels,
        )

    def use_window(self, window: Size3) -> None:
        """Begin with another window than the patch of the configuration."""
        self._settings = replace(self._settings, window=window)

    @property
    def device(self) -> str | torch.device:
        """Where the network runs."""
        return self._settings.device

    @property
    def num_voxels(self) -> int:
        """Voxels of all regions."""
        return sum(count_voxels(region.box) for region in self.regions)

    def name_of(self, region: ValidationRegion) -> str:
        """Name the volume of a region."""
        return self._pairs[region.pair].name

    def read_image(self, region: ValidationRegion) -> NDArray[np.uint8]:
        """Return the image of a region as uint8."""
        return self._images[region.pair].read(*region.box)

    def read_labels(self, region: ValidationRegion) -> NDArray[np.uint8]:
        """Return the labels of a region as 0, 1 and 2."""
        return self._targets[region.pair].read(*region.box)

    def read_all_labels(self) -> list[NDArray[np.uint8]]:
        """Return the labels of every region as 0, 1 and 2."""
        return [self.read_labels(region) for region in self.regions]

    def is_sparse(self) -> bool:
        """Whether only strokes are annotated, as the labels stand now."""
        return _are_strokes(self.read_all_labels())

    def run(
        self,
        network: torch.nn.Module,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> ValidationResult:
        """Predict every region, choose the threshold and score."""
        begun = time.perf_counter()
        probabilities = [
            self._predict(network, region, self._settings, should_stop) for region in self.regions
        ]
        labels = self.read_all_labels()
        is_sparse = _are_strokes(labels)
        threshold = choose_threshold(
            probabilities, labels, fixed=self.fixed_threshold, is_sparse=is_sparse
        )
        if is_sparse:
            metrics = _score_strokes(probabilities, labels, threshold)
            rows: list[dict[str, float] | None] = [
                _score_strokes([found], [truth], threshold)
                for found, truth in zip(probabilities, labels, strict=True)
            ]
        else:
            rows = self._score_dense(probabilities, labels, threshold)
            metrics = _average(rows, [_count_annotated(truth) for truth in labels])
        return ValidationResult(
            metrics,
            threshold,
            time.perf_counter() - begun,
            probabilities,
            volumes=self._group_by_volume(rows, labels),
            num_annotated=sum(map(_count_annotated, labels)),
            num_surface=sum(int(np.count_nonzero(truth == FOREGROUND)) for truth in labels),
            is_sparse=is_sparse,
        )

    def predict_as_volumes(
        self, network: torch.nn.Module, should_stop: Callable[[], bool] | None = None
    ) -> list[NDArray[np.uint8]]:
        """Predict every region as a prediction of its whole volume would.

        That is with larger windows than the patch, over which the network's norms take other
        means, and with flips if it is predicted with them, which leave less for smoothing to
        mend: the probabilities that a threshold will meet.

        Raises
        ------
        CancelledError
            When ``should_stop`` said so, asked before every batch of windows.
        """
        found = []
        for region in self.regions:
            pair = self._pairs[region.pair]
            shape = pair.image.shape
            shape = shape if pair.resampling is None else pair.resampling.shape(shape)
            window = choose_fitting_window(network, shape, self._settings)
            larger = replace(self._settings, window=window, flips=self._flips)
            larger = larger.with_flips_for(shape)
            found.append(self._predict(network, region, larger, should_stop))
        return found

    def measure(
        self, prediction: NDArray[Any], labels: NDArray[np.uint8], *, pair: int = 0
    ) -> dict[str, float]:
        """Score a prediction by dense labels, in voxels of a pair's finest axis."""
        return compute_metrics(
            prediction,
            labels,
            spacing=in_finest_voxels(self._pairs[pair].spacing),
            progress=raise_if_stopped,
            tolerance=self._tolerance,
            ignore_index=IGNORE,
        )

    def _predict(
        self,
        network: torch.nn.Module,
        region: ValidationRegion,
        settings: PredictionSettings,
        should_stop: Callable[[], bool] | None = None,
    ) -> NDArray[np.uint8]:
        pair = self._pairs[region.pair]
        return predict_region(
            network,
            self._images[region.pair].read,
            region.box,
            replace(settings, resampling=pair.resampling),
            bounds=pair.image.box,
            should_stop=should_stop or is_stop_wanted,
        )

    def _score_dense(
        self,
        probabilities: Sequence[NDArray[np.uint8]],
        labels: Sequence[NDArray[np.uint8]],
        threshold: float,
    ) -> list[dict[str, float] | None]:
        """Score each region; None for one without supervised voxels.

        Such a one scores nothing: an empty surface equals an empty one. For the same reason there
        are no scores where no region holds surface.
        """
        if not any((truth == FOREGROUND).any() for truth in labels):
            return [None] * len(labels)
        return [
            self.measure(found > threshold * 255, truth, pair=region.pair)
            if _count_annotated(truth)
            else None
            for region, found, truth in zip(self.regions, probabilities, labels, strict=True)
        ]

    def _group_by_volume(
        self, rows: Sequence[dict[str, float] | None], labels: Sequence[NDArray[np.uint8]]
    ) -> list[dict[str, Any]]:
        """Give the scores of each volume, where there are several."""
        groups: dict[str, list[int]] = {}
        for index, region in enumerate(self.regions):
            groups.setdefault(self._pairs[region.pair].image.source, []).append(index)
        if len(groups) < 2:
            return []
        counts = [_count_annotated(truth) for truth in labels]
        return [
            {
                "image": source,
                "num_annotated": sum(counts[index] for index in members),
                "metrics": _average(
                    [rows[index] for index in members], [counts[index] for index in members]
                ),
            }
            for source, members in groups.items()
        ]


def _average(rows: Sequence[dict[str, float] | None], weights: Sequence[int]) -> dict[str, float]:
    """Average scores over regions, weighted by their supervised voxels."""
    scored = [(row, weight) for row, weight in zip(rows, weights, strict=True) if row and weight]
    if not scored:
        return {}
    names = [name for name in scored[0][0] if all(name in row for row, _ in scored)]
    total = [weight for _, weight in scored]
    return {
        name: float(np.average([row[name] for row, _ in scored], weights=total)) for name in names
    }


def _count_annotated(labels: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(labels != IGNORE))


def _are_strokes(labels: Sequence[NDArray[np.uint8]]) -> bool:
    annotated, near = np.sum([count_annotated_near_surface(truth) for truth in labels], axis=0)
    return bool(annotated < DENSE_SHARE * near)


def _score_strokes(
    probabilities: Sequence[NDArray[np.uint8]],
    labels: Sequence[NDArray[np.uint8]],
    threshold: float,
) -> dict[str, float]:
    """Count voxel by voxel, all regions together: one block can hold few strokes."""
    counts = np.zeros((2, 2), np.int64)
    for found, truth in zip(probabilities, labels, strict=True):
        for value in (0, 1):
            hits = np.count_nonzero(found[truth == value] > threshold * 255)
            counts[value] += hits, np.count_nonzero(truth == value) - hits
    if not counts[1].any():  # no prediction at all would be right
        return {}
    (false_positive, _), (true_positive, missed) = counts.tolist()
    predicted, labelled = true_positive + false_positive, true_positive + missed
    metrics = {
        "dice": 2 * true_positive / (predicted + labelled),
        "recall": true_positive / labelled,
    }
    if predicted:
        metrics["precision"] = true_positive / predicted
    return metrics
