"""What a probability says in relation to the threshold."""

import numpy as np
import pytest

from napari_surfseg.proofreading.evidence import build_evidence, to_bytes


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_chance_is_one_half_at_the_threshold(threshold):
    evidence = build_evidence(np.zeros((2, 2, 2), np.uint8), threshold, (1, 1, 1))
    table = evidence.chance_table
    assert (table[0], table[255]) == (0, 1)
    assert table[round(255 * threshold)] == pytest.approx(0.5, abs=0.01)
    assert (np.diff(table) > 0).all()
    assert evidence.error_chance(255 * threshold) == pytest.approx(0.5, abs=0.01)
    assert evidence.error_chance(0) == evidence.error_chance(255) == 0


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_an_end_gives_numbers(threshold):
    evidence = build_evidence(np.zeros((2, 2, 2), np.uint8), threshold, (1, 1, 1))
    assert np.isfinite(evidence.chance_table).all()


def test_reach_is_in_the_finest_voxels():
    evidence = build_evidence(np.zeros((2, 2, 2), np.uint8), 0.5, (4.0, 1.0, 2.0))
    assert evidence.spacing == (4, 1, 2)
    assert evidence.steps(6.0) == (2, 6, 3)
    assert evidence.steps(1.0) == (1, 1, 1)


def test_types_become_bytes():
    assert to_bytes(np.array([0.0, 0.5, 1.0])).tolist() == [0, 128, 255]
    assert to_bytes(np.array([0, 7, 255], np.int32)).tolist() == [0, 7, 255]
    assert to_bytes(np.array([0, 1, 300]), as_mask=True).tolist() == [0, 255, 255]
    assert to_bytes(np.array([False, True])).tolist() == [0, 255]
