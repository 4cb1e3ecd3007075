"""The area of contacts that fill a volume, in any orientation."""

import numpy as np
import pytest

from napari_surfseg.surfaces.contacts import find_contacts


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_slanted_contact_has_the_area_of_a_plane(spacing, slope):
    shape = (int(60 / spacing[0]), 40, 40)
    z = (np.indices(shape)[0] + 0.5) * spacing[0] - 30
    y = np.indices(shape)[1] + 0.5 - 20
    labels = np.where(z > slope * y, 3, 8)
    assert list(find_contacts(labels, 3, spacing)) == [8]
    area = find_contacts(labels, 8, spacing)[3]
    assert area == pytest.approx(40 * 40 * np.hypot(1, slope), rel=0.02)


def test_the_largest_contact_comes_first():
    labels = np.zeros((9, 30, 30), int)
    labels[3:6], labels[6:], labels[:3, 8:20] = 1, 2, 3
    assert find_contacts(labels, 1) == pytest.approx({2: 900, 3: 360}, rel=0.05)
    assert list(find_contacts(labels, 1)) == [2, 3]
    assert find_contacts(labels, 2) == pytest.approx({1: 900}, rel=0.05)
    assert find_contacts(labels * 0 + 1, 1) == {}
