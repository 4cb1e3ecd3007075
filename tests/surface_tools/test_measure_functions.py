"""How much area has which thickness, gap or curvature."""

import numpy as np
import pytest

from napari_surfseg.errors import LabelError
from napari_surfseg.surface_tools.measure_functions import sheet_histogram


def make_labels():
    """Two plates of 3 and 6 voxels, with 9 voxels between them, the first twice as large."""
    labels = np.zeros((34, 40, 40), np.int32)
    labels[4:7] = 2
    labels[16:22, :, :20] = 5
    labels[0, 0, 0] = 9
    return labels


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.25, 0.25)])
def test_the_area_of_each_thickness(spacing):
    rows = sheet_histogram(make_labels(), spacing=spacing, bins=10)
    assert len(rows) == 10
    unit = spacing[0]
    assert rows[0]["thickness_from"] == pytest.approx(3 * unit, rel=0.05)
    assert rows[-1]["thickness_to"] == pytest.approx(6 * unit, rel=0.05)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert rows[0]["share"] == pytest.approx(2 / 3, abs=0.05)
    assert rows[-1]["share"] == pytest.approx(1 / 3, abs=0.08)
    assert rows[0]["area"] == pytest.approx(40 * 40 * spacing[1] ** 2, rel=0.08)
    assert len(rows[0]["histogram"]) == 10
    assert rows[5]["histogram"] == ""


def test_the_area_of_each_gap_and_of_no_curvature():
    rows = sheet_histogram(make_labels(), what="gap", bins=4)
    assert rows[0]["gap_from"] == pytest.approx(9, abs=0.5)
    flat = sheet_histogram(make_labels(), what="curvature", bins=3)
    assert max(abs(flat[0]["curvature_from"]), abs(flat[-1]["curvature_to"])) < 0.1


def test_what_cannot_be_counted_is_said_in_a_sentence():
    labels = make_labels()
    with pytest.raises(LabelError, match="no other sheet is within reach"):
        sheet_histogram(np.where(labels == 2, 2, 0), what="gap")
    with pytest.raises(LabelError, match="no sheet is large enough"):
        sheet_histogram(np.where(labels == 9, 9, 0))
