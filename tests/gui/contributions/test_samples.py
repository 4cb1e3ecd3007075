"""The sample data of the File menu."""

import numpy as np
import pytest

from napari_surfseg.gui.contributions import samples


@pytest.mark.parametrize("make", [samples.make_dense_sample, samples.make_strokes_sample])
def test_samples_are_a_volume_with_labels(make):
    (image, image_meta, image_kind), (labels, labels_meta, labels_kind) = make()
    assert (image_kind, labels_kind) == ("image", "labels")
    assert image.shape == labels.shape
    assert image_meta["scale"] == labels_meta["scale"]
    present = set(np.unique(labels).tolist())
    assert present == {0, 1, 2}
    assert set(labels_meta["metadata"]["surfseg_labels"]) == present
