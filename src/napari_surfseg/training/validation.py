"""Score the averaged weights on the validation data, with the threshold that suits them."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.census import BLOCK
from napari_surfseg.data.labels import FOREGROUND, IGNORE
from napari_surfseg.data.strokes.density import DENSE_SHARE, count_annotated_near_surface
from napari_surfseg.errors import DeviceMemoryError
from napari_surfseg.inference.postprocess_tuning import tune_postprocess
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.inference.window_size import choose_fitting_window
from napari_surfseg.metrics.error_samples import ScoredRegion, write_error_samples
from napari_surfseg.metrics.features import find_topology_errors
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surfaces.postprocess import PostProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checks import CheckedPair
    from napari_surfseg.data.intensity import Intensity
    from napari_surfseg.geometry import Size3
    from napari_surfseg.inference.postprocess_tuning import TuningStep


__all__ = [
    "ValidationRegion",
    "ValidationResult",
    "Validator",
    "choose_regions",
    "choose_threshold",
    "in_finest_voxels",
]

#: Voxels scored at most; a slab of a huge volume would otherwise take longer than the epoch.
MAX_VOXELS = {"cpu": 3 * 2**20, "cuda": 24 * 2**20}

#: Voxels of image around a region that the network sees as well, as it will when it predicts.
CONTEXT = 16

#: Thresholds outside are never chosen: they would say more about a small slab than about the net.
THRESHOLD_RANGE = (0.2, 0.8)
#: Where strokes cannot say which is best.
PLAIN_THRESHOLD = 0.5


@dataclass(frozen=True)
class ValidationRegion:
    """A box of a validation volume.

    Attributes
    ----------
    pair : int
        Which of the validation pairs.
    start, stop : tuple of int
        The box, in voxels of the volume.
    """

    pair: int
    start: Size3
    stop: Size3


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes
    ----------
    metrics : dict
        Means over the regions, weighted by their supervised voxels; on strokes the
        scores that are counted voxel by voxel, over all of them together.
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
    """

    metrics: dict[str, float]
    threshold: float
    seconds: float
    probabilities: list[NDArray[np.uint8]]
    num_annotated: int = 0
    num_surface: int = 0
    is_sparse: bool = False


def choose_regions(
    pairs: Sequence[CheckedPair], *, max_voxels: int, seed: int
) -> list[ValidationRegion]:
    """Choose the boxes that are scored: everything, or as much of it as is allowed.

    Of a volume whose labels lie in one place only that place counts. One
    that is too large is represented by the box of its share of
    ``max_voxels``, of the volume's proportions, around its most annotated place
    among a few drawn ones. The choice depends on the seed alone, so that the
    scores of a run can be compared with each other.
    """
    boxes = [_annotated_box(pair) for pair in pairs]
    total = sum(math.prod(b - a for a, b in zip(*box, strict=True)) for box in boxes)
    rng = np.random.default_rng([seed, 7])
    regions = []
    for index, pair in enumerate(pairs):
        start, stop = boxes[index]
        if total > max_voxels:
            start, stop = _shrink(pair, boxes[index], max_voxels / total, rng)
        regions.append(ValidationRegion(index, start, stop))
    return regions


def _annotated_box(pair: CheckedPair) -> tuple[Size3, Size3]:
    """Find the box of the census blocks with annotated voxels."""
    occupied = np.argwhere(pair.census.blocks.sum(axis=0))
    if not len(occupied):
        return pair.roi
    first = pair.census.block_box(_triple(occupied.min(axis=0).tolist()))[0]
    return first, pair.census.block_box(_triple(occupied.max(axis=0).tolist()))[1]


def _shrink(
    pair: CheckedPair, box: tuple[Size3, Size3], share: float, rng: np.random.Generator
) -> tuple[Size3, Size3]:
    low, high = box
    edge = share ** (1 / 3)
    # A thin slab keeps its thin axis as long as it can: cut the long axes first.
    size = _cut_longest([b - a for a, b in zip(low, high, strict=True)], edge)
    candidates = []
    for _ in range(12):
        start = [int(rng.integers(a, b - s + 1)) for a, b, s in zip(low, high, size, strict=True)]
        stop = [a + s for a, s in zip(start, size, strict=True)]
        candidates.append((_triple(start), _triple(stop)))
    return max(candidates, key=lambda box: _count_foreground(pair, box))


def _count_foreground(pair: CheckedPair, box: tuple[Size3, Size3]) -> int:
    """Count surface voxels in the census blocks that a box touches."""
    low = pair.census.box[0]
    touched = tuple(
        slice(start // BLOCK - first // BLOCK, -(-stop // BLOCK) - first // BLOCK)
        for start, stop, first in zip(*box, low, strict=True)
    )
    return int(pair.census.blocks[1][touched].sum())


def _cut_longest(size: list[int], edge: float) -> list[int]:
    target = np.prod(size) * edge**3
    size = list(size)
    while np.prod(size) > target:
        longest = int(np.argmax(size))
        second = sorted(size)[-2]
        wanted = int(target / (np.prod(size) / size[longest]))
        size[longest] = max(wanted, min(second, size[longest] - 1), 1)
    return size


def _triple(values: Sequence[int]) -> Size3:
    return values[0], values[1], values[2]


def in_finest_voxels(spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Express a voxel size in the finest axis: tolerances count voxels, whatever the unit."""
    finest = min(spacing)
    return spacing[0] / finest, spacing[1] / finest, spacing[2] / finest


def choose_threshold(histograms: NDArray[np.int64]) -> float:
    """Find the probability at which the Dice coefficient is greatest.

    Parameters
    ----------
    histograms : array, shape (2, 256)
        Counts of the uint8 probabilities of background (0) and surface (1) voxels.

    Returns
    -------
    float
        Midway between two uint8 levels, within :data:`THRESHOLD_RANGE`; 0.5
        where nothing is on the surface.
    """
    if histograms[1].sum() == 0:
        return 0.5
    # At cut c the voxels with level >= c are predicted.
    true_positive = histograms[1][::-1].cumsum()[::-1]
    predicted = histograms.sum(axis=0)[::-1].cumsum()[::-1]
    dice = 2 * true_positive / np.maximum(1, predicted + histograms[1].sum())
    low, high = (round(value * 255) for value in THRESHOLD_RANGE)
    cut = low + int(dice[low : high + 1].argmax())
    return (cut - 0.5) / 255


def _are_strokes(labels: list[NDArray[np.uint8]]) -> bool:
    annotated, near = np.sum([count_annotated_near_surface(truth) for truth in labels], axis=0)
    return bool(annotated < DENSE_SHARE * near)


class Validator:
    """Holds the validation regions and scores networks on them.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Validation volumes.
    cache : VolumeCache
        Shared with the loader.
    intensity : Intensity
        Of the training volumes.
    window : tuple of int
        Window of the prediction.
    multiple : int
        Sizes the network takes are divisible by it.
    overlap : float
        Of neighbouring windows.
    tolerance : float
        Of ``surface_dice``, in voxels of the finest axis.
    fixed_threshold : float, optional
        Score at this threshold instead of choosing one.
    device : torch.device
        Where the network is.
    precision : str
        ``float32`` or ``bf16``.
    seed : int
        For the choice of regions.
    max_voxels : int, optional
        Voxels scored at most; :data:`MAX_VOXELS` if not given.

    Notes
    -----
    A slab is predicted with the image around it, the training part's included, as
    it would be within a whole volume. Cut off from it, a network that tells the two
    sides of a sheet by what lies further away is unsure of all of them, and
    thresholds chosen there suit no other place. Labels never leave their part.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        cache: VolumeCache,
        intensity: Intensity,
        *,
        window: Size3,
        multiple: int,
        overlap: float,
        tolerance: float,
        fixed_threshold: float | None,
        device: torch.device,
        precision: str,
        seed: int,
        max_voxels: int | None = None,
    ) -> None:
        self._pairs = list(pairs)
        self._intensity = intensity
        self._window = window
        self._multiple = (multiple, multiple, multiple)
        self._overlap = overlap
        self._tolerance = tolerance
        self._fixed_threshold = fixed_threshold
        self._device = device
        self._precision = precision
        self.regions = choose_regions(
            pairs, max_voxels=max_voxels or MAX_VOXELS[device.type], seed=seed
        )
        self._images = [cache.view(pair.open_image(intensity)) for pair in self._pairs]
        self._targets = [cache.view(pair.open_targets()) for pair in self._pairs]

    def read_labels(self, region: ValidationRegion) -> NDArray[np.uint8]:
        """Return the labels of a region as 0, 1 and 2."""
        return self._targets[region.pair].read(region.start, region.stop)

    def read_all_labels(self) -> list[NDArray[np.uint8]]:
        """Return the labels of every region as 0, 1 and 2."""
        return [self.read_labels(region) for region in self.regions]

    def is_sparse(self) -> bool:
        """Whether only strokes are annotated, as the labels stand now."""
        return _are_strokes(self.read_all_labels())

    def read_image(self, region: ValidationRegion) -> NDArray[np.uint8]:
        """Return the image of a region as uint8."""
        return self._images[region.pair].read(region.start, region.stop)

    def run(
        self,
        network: torch.nn.Module,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> ValidationResult:
        """Predict every region, choose the threshold and score."""
        begun = time.perf_counter()
        probabilities = [
            self._predict(network, region, self._window, should_stop) for region in self.regions
        ]
        labels = self.read_all_labels()
        is_sparse = _are_strokes(labels)
        threshold = self._fixed_threshold
        if threshold is None and is_sparse:
            # What is drawn between strokes costs nothing there: the lowest would always win.
            threshold = PLAIN_THRESHOLD
        elif threshold is None:
            histograms = np.zeros((2, 256), np.int64)
            for found, truth in zip(probabilities, labels, strict=True):
                for value in (0, 1):
                    histograms[value] += np.bincount(found[truth == value], minlength=256)
            threshold = choose_threshold(histograms)
        score = self._score_strokes if is_sparse else self._score
        return ValidationResult(
            score(probabilities, labels, threshold),
            threshold,
            time.perf_counter() - begun,
            probabilities,
            num_annotated=sum(int(np.count_nonzero(truth != IGNORE)) for truth in labels),
            num_surface=sum(int(np.count_nonzero(truth == FOREGROUND)) for truth in labels),
            is_sparse=is_sparse,
        )

    def predict_as_volumes(
        self, network: torch.nn.Module, should_stop: Callable[[], bool] | None = None
    ) -> list[NDArray[np.uint8]]:
        """Predict every region as a prediction of its whole volume would.

        That is with larger windows than the patch, over which the network's norms
        take other means: surer probabilities, and the ones that a threshold will meet.

        Raises
        ------
        CancelledError
            When ``should_stop`` said so, asked before every batch of windows.
        """
        found = []
        for region in self.regions:
            shape = self._pairs[region.pair].image.shape
            window = choose_fitting_window(network, shape, self._settings(self._window))
            try:
                found.append(self._predict(network, region, window, should_stop))
            except DeviceMemoryError:
                found.append(self._predict(network, region, self._window, should_stop))
        return found

    def _predict(
        self,
        network: torch.nn.Module,
        region: ValidationRegion,
        window: Size3,
        should_stop: Callable[[], bool] | None = None,
    ) -> NDArray[np.uint8]:
        return predict_region(
            network,
            self._images[region.pair].read,
            (region.start, region.stop),
            self._settings(window),
            bounds=((0, 0, 0), self._pairs[region.pair].image.shape),
            should_stop=should_stop,
        )

    def _settings(self, window: Size3) -> PredictionSettings:
        return PredictionSettings(
            intensity=self._intensity,
            window=window,
            overlap=self._overlap,
            multiple=self._multiple,
            context=CONTEXT,
            device=self._device,
            precision="bf16" if self._precision == "bf16" else "float32",
        )

    @staticmethod
    def _score_strokes(
        probabilities: list[NDArray[np.uint8]],
        labels: list[NDArray[np.uint8]],
        threshold: float,
    ) -> dict[str, float]:
        """Count voxel by voxel, all regions together: one block can hold few strokes."""
        counts = np.zeros((2, 2), np.int64)
        for found, truth in zip(probabilities, labels, strict=True):
            for value in (0, 1):
                hits = np.count_nonzero(found[truth == value] > threshold * 255)
                counts[value] += hits, np.count_nonzero(truth == value) - hits
        (false_positive, _), (true_positive, missed) = counts.tolist()
        predicted, labelled = true_positive + false_positive, true_positive + missed
        metrics = {}
        if predicted + labelled:
            metrics["dice"] = 2 * true_positive / (predicted + labelled)
        if predicted:
            metrics["precision"] = true_positive / predicted
        if labelled:
            metrics["recall"] = true_positive / labelled
        return metrics

    def _score(
        self,
        probabilities: list[NDArray[np.uint8]],
        labels: list[NDArray[np.uint8]],
        threshold: float,
    ) -> dict[str, float]:
        rows, weights = [], []
        for region, found, truth in zip(self.regions, probabilities, labels, strict=True):
            rows.append(
                compute_metrics(
                    found > threshold * 255,
                    truth,
                    spacing=in_finest_voxels(self._pairs[region.pair].spacing),
                    tolerance=self._tolerance,
                    ignore_index=IGNORE,
                )
            )
            weights.append(max(1, int((truth != IGNORE).sum())))
        return {
            name: float(np.average([row[name] for row in rows], weights=weights))
            for name in rows[0]
        }

    @property
    def num_voxels(self) -> int:
        """Voxels of all regions."""
        return sum(
            math.prod(b - a for a, b in zip(region.start, region.stop, strict=True))
            for region in self.regions
        )

    @property
    def may_move_threshold(self) -> bool:
        """Whether nobody has set the threshold."""
        return self._fixed_threshold is None

    def tune(
        self,
        probabilities: list[NDArray[np.uint8]],
        *,
        witness: tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]] | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> tuple[PostProcess, list[TuningStep]]:
        """Search for the post-processing with the best score on the validation data.

        Parameters
        ----------
        probabilities : list of array
            uint8, one a region, by the weights that will be used.
        witness : (probabilities, labels), optional
            Of training data, see :mod:`napari_surfseg.inference.postprocess_tuning`.
        progress, should_stop : callable, optional
            As in ``tune_postprocess``.
        """
        spacing = in_finest_voxels(self._pairs[0].spacing)

        def measure(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> dict[str, float]:
            return compute_metrics(
                pred, label, spacing=spacing, tolerance=self._tolerance, ignore_index=IGNORE
            )

        fixed = self._fixed_threshold
        return tune_postprocess(
            probabilities,
            self.read_all_labels(),
            start=PostProcess() if fixed is None else PostProcess(threshold=fixed),
            measure=measure,
            witness=witness,
            with_threshold=fixed is None,
            ignore_index=IGNORE,
            progress=progress,
            should_stop=should_stop,
        )

    def write_errors(self, folder: Path, result: ValidationResult, *, epoch: int) -> None:
        """Keep where the topology of a prediction is wrong, for the report.

        Takes up to twice as long as the scores of one validation (measured: 0.5 to 1.2 s
        for the voxels a CPU run scores, 8 s for a GPU run's), so it is done once, at the end.
        """
        regions = []
        for region, found in zip(self.regions, result.probabilities, strict=True):
            labels = self.read_labels(region)
            prediction = np.asarray(found > result.threshold * 255).view(np.uint8)
            regions.append(
                ScoredRegion(
                    image_name=self._pairs[region.pair].name,
                    origin=region.start,
                    image=self.read_image(region),
                    labels=labels,
                    prediction=prediction,
                    errors=find_topology_errors(prediction, labels, IGNORE),
                )
            )
        write_error_samples(folder, regions, epoch=epoch)

    def write_samples(self, folder: Path, result: ValidationResult, *, most: int = 3) -> None:
        """Save pieces of the first regions for the report's pictures."""
        folder.mkdir(parents=True, exist_ok=True)
        for index, region in enumerate(self.regions[:most]):
            crop = tuple(
                slice((edge - size) // 2, (edge - size) // 2 + size)
                for edge, size in (
                    (edge, min(edge, limit))
                    for edge, limit in zip(
                        result.probabilities[index].shape, (64, 256, 256), strict=True
                    )
                )
            )
            arrays: dict[str, NDArray[Any]] = {
                "image": self.read_image(region),
                "labels": self.read_labels(region),
                "probabilities": result.probabilities[index],
            }
            for name, array in arrays.items():
                np.save(
                    folder / f"validation_{index}_{name}.npy", np.ascontiguousarray(array[crop])
                )
