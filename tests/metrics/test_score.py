"""The metrics together: every value of the published scoring code, case by case."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg.metrics.score import compute_metrics, compute_score

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
EXPECTED = REFERENCE / "surface_metric_expected_given.json"
CASES = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}


@pytest.mark.skipif(not CASES, reason="the reference cases are not at hand")
@pytest.mark.parametrize("name", sorted(CASES))
def test_metrics_equal_the_reference(name):
    with np.load(REFERENCE / "surface_metric_cases_given.npz", allow_pickle=False) as arrays:
        pred, label = arrays[f"{name}_pred"], arrays[f"{name}_label"]
    got = compute_metrics(pred, label)
    for key in ("score", "topo_score", "surface_dice", "voi_score", "voi_split", "voi_merge"):
        assert got[key] == pytest.approx(CASES[name][key], abs=1e-6), key
    counts = [
        [got[f"topo_{side}_{dimension}"] for side in ("matched", "pred", "label")]
        for dimension in range(3)
    ]
    assert counts == CASES[name]["topo_counts_matched_predicted_label"]


def test_the_score_is_weighted_and_stays_within_its_range():
    assert compute_score(1, 1, 1) == pytest.approx(1)
    assert compute_score(1, 0, 0) == pytest.approx(0.30)
    assert compute_score(0, 1, 0) == compute_score(0, 0, 1) == pytest.approx(0.35)
    assert compute_score(2, 2, 2) == 1


def test_without_topology_there_is_no_score():
    mask = np.ones((4, 4, 4), np.uint8)
    reported = []
    metrics = compute_metrics(mask, mask, with_topology=False, progress=reported.append)
    assert not {"score", "topo_score", "b0_pred"} & set(metrics)
    assert reported == sorted(reported)
    assert reported[-1] == 1
