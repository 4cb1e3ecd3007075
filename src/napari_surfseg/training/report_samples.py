"""What the report shows of the validation data: pieces of the regions, and topology errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.labels import IGNORE
from napari_surfseg.files import written_aside
from napari_surfseg.metrics.error_samples import ScoredRegion, write_error_samples
from napari_surfseg.metrics.topology_errors import find_topology_errors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.training.validation import ValidationResult, Validator

__all__ = ["write_topology_errors", "write_validation_samples"]

#: Regions shown, and the most that is shown of one.
NUM_SAMPLES, SAMPLE_SIZE = 3, (64, 256, 256)


def write_validation_samples(folder: Path, validator: Validator, result: ValidationResult) -> None:
    """Save the middle of the first regions: image, labels and probabilities."""
    for place in (folder.parent, folder):  # no higher one: a drive may be away
        place.mkdir(exist_ok=True)
    for index, region in enumerate(validator.regions[:NUM_SAMPLES]):
        found = result.probabilities[index]
        sizes = [min(edge, most) for edge, most in zip(found.shape, SAMPLE_SIZE, strict=True)]
        crop = tuple(
            slice((edge - size) // 2, (edge - size) // 2 + size)
            for edge, size in zip(found.shape, sizes, strict=True)
        )
        arrays: dict[str, NDArray[Any]] = {
            "image": validator.read_image(region),
            "labels": validator.read_labels(region),
            "probabilities": found,
        }
        for name, array in arrays.items():
            path = folder / f"validation_{index}_{name}.npy"
            with written_aside(path) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(array[crop]))


def write_topology_errors(
    folder: Path, validator: Validator, result: ValidationResult, *, epoch: int
) -> None:
    """Save where the topology of a prediction is wrong.

    Takes up to twice as long as the scores of one validation (measured: 0.5 to 1.2 s
    for the voxels a CPU run scores, 8 s for a GPU run's), so it is done once, at the end.

    Raises
    ------
    CancelledError
        If work should end; nothing is written then.
    """
    regions = []
    for region, found in zip(validator.regions, result.probabilities, strict=True):
        labels = validator.read_labels(region)
        prediction = np.asarray(found > result.threshold * 255).view(np.uint8)
        regions.append(
            ScoredRegion(
                image_name=validator.name_of(region),
                origin=region.box[0],
                image=validator.read_image(region),
                labels=labels,
                prediction=prediction,
                errors=find_topology_errors(prediction, labels, IGNORE, progress=raise_if_stopped),
            )
        )
    write_error_samples(folder, regions, epoch=epoch)
