"""What the writers refuse or change; what they keep is in the round trips."""

import numpy as np
import pytest
import tifffile

from napari_surfseg.errors import OutputError
from napari_surfseg.gui.contributions.writers import write_labels


def test_flat_labels_are_refused(tmp_path):
    with pytest.raises(OutputError, match="have 2 axes"):
        write_labels(str(tmp_path / "x.tif"), np.zeros((3, 4), np.uint8), {})
    assert not list(tmp_path.iterdir())


def test_boolean_labels_become_numbers(tmp_path):
    write_labels(str(tmp_path / "x.tif"), np.ones((2, 3, 4), bool), {})
    assert tifffile.imread(tmp_path / "x.tif").dtype == np.uint8
