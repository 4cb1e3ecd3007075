"""Samples of validation data: damaged files, and which slices are shown."""

import numpy as np

from napari_surfseg.runs.report.samples import Sample, read_samples


def test_samples_that_are_damaged_are_passed_over(tmp_path):
    good = np.zeros((4, 6, 8), np.uint8)

    def write(number, **arrays):
        for name, array in arrays.items():
            np.save(tmp_path / f"validation_{number}_{name}.npy", array)

    write(0, image=good, labels=good, probabilities=good)
    write(1, image=good, labels=good)
    write(2, image=good, labels=good, probabilities=good[:2])
    write(3, image=good[0], labels=good[0], probabilities=good[0])
    (tmp_path / "validation_4_image.npy").write_bytes(b"damaged")
    (tmp_path / "validation_0.json").write_text('{"image": "scan.tif", "origin": [1, 2, 3]}')
    (sample,) = read_samples(tmp_path)
    assert sample.title == "scan.tif from voxel (1, 2, 3), 4 × 6 × 8 voxels"
    assert read_samples(tmp_path / "nowhere") == []


def test_the_slices_shown_cut_the_sheets():
    """Across a sheet one sees a line, along it a blot."""
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:, :, 8:10] = 1  # a sheet across X
    labels[13, :, 3:5] = 1  # and more to see at one height
    sample = Sample("x", labels, labels, labels)
    assert [view.name for view in sample.choose_slices()] == ["z = 13", "y = 9"]
    nothing = np.zeros((9, 7, 5), np.uint8)
    views = Sample("x", nothing, nothing, nothing).choose_slices()
    assert [view.name for view in views] == ["z = 4", "y = 3"]
    assert [view.image.shape for view in views] == [(5, 7), (5, 9)]  # laid down
