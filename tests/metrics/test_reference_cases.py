"""Every value of the published scoring code, case by case."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg.metrics.score import compute_metrics

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"
EXPECTED = REFERENCE / "surface_metric_expected_given.json"
CASES = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}

pytestmark = pytest.mark.skipif(not CASES, reason="the reference cases are not at hand")


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
