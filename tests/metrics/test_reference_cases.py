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
def test_surface_dice_and_voi_equal_the_reference(name):
    with np.load(REFERENCE / "surface_metric_cases_given.npz", allow_pickle=False) as arrays:
        pred, label = arrays[f"{name}_pred"], arrays[f"{name}_label"]
    got = compute_metrics(pred, label)
    for key in ("surface_dice", "voi_score", "voi_split", "voi_merge"):
        assert got[key] == pytest.approx(CASES[name][key], abs=1e-6), key
