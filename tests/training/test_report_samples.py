"""Pieces of the validation data for the report."""

from unittest.mock import Mock

import numpy as np

from napari_surfseg.metrics.error_samples import read_error_samples
from napari_surfseg.training.report_samples import (
    SAMPLE_SIZE,
    write_topology_errors,
    write_validation_samples,
)
from napari_surfseg.training.validation import ValidationResult, Validator
from napari_surfseg.training.validation_regions import ValidationRegion


def validator_with(image, labels):
    validator = Mock(spec=Validator)
    validator.regions = [ValidationRegion(0, ((5, 0, 0), (5 + labels.shape[0], *labels.shape[1:])))]
    validator.read_image.return_value = image
    validator.read_labels.return_value = labels
    validator.name_of.return_value = "scan"
    return validator


def test_the_middle_of_a_large_region_is_saved(tmp_path):
    shape = (100, 20, 300)
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    labels = (image > 200).astype(np.uint8)
    result = ValidationResult({}, 0.5, 0.0, [image])
    write_validation_samples(tmp_path / "samples", validator_with(image, labels), result)
    saved = np.load(tmp_path / "samples" / "validation_0_image.npy")
    assert saved.shape == (SAMPLE_SIZE[0], 20, SAMPLE_SIZE[2])
    np.testing.assert_array_equal(saved, image[18:82, :, 22:278])
    np.testing.assert_array_equal(
        np.load(tmp_path / "samples" / "validation_0_labels.npy"), labels[18:82, :, 22:278]
    )


def test_a_speck_of_the_prediction_is_kept_in_the_volumes_voxels(tmp_path):
    labels = np.zeros((16, 24, 24), np.uint8)
    labels[8] = 1
    found = labels * np.uint8(255)
    found[12:14, 4:6, 4:6] = 255
    result = ValidationResult({}, 0.5, 0.0, [found])
    write_topology_errors(tmp_path, validator_with(found, labels), result, epoch=3)
    kept = read_error_samples(tmp_path)
    assert kept.epoch == 3
    (row,) = kept.rows
    assert 5 + 12 <= row.error.location[0] < 5 + 14
