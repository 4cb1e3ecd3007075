"""The baselines compute what they say; how good they are is measured, not tested."""

import json
import runpy
import sys

import numpy as np
import pytest
import tifffile
from tests.benchmarks.conftest import BENCHMARKS


def test_the_chosen_threshold_has_the_best_dice_of_the_voxels_that_are_stood_for():
    from baseline_io import choose_threshold

    probs = np.array([0.22, 0.42, 0.62, 0.82])
    is_surface = np.array([False, True, False, True])
    assert 0.2 < choose_threshold(probs, is_surface) <= 0.4
    # Each voxel of background stands for a hundred: what is found wrongly weighs as much.
    weights = np.where(is_surface, 1.0, 100.0)
    assert 0.6 < choose_threshold(probs, is_surface, weights) <= 0.8


def test_eigenvalues_in_closed_form_are_those_of_lapack():
    import random_forest

    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(500, 3, 3))
    matrices += matrices.transpose(0, 2, 1)
    matrices[0], matrices[1] = 0, np.eye(3)
    upper = [matrices[:, i, j] for i in range(3) for j in range(i, 3)]
    found = np.stack(random_forest._eigenvalues(upper), axis=1)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(matrices), atol=1e-6)


def test_features_of_some_voxels_are_theirs_among_all():
    import random_forest

    image = np.random.default_rng(0).integers(0, 255, (12, 14, 16), dtype=np.uint8)
    rows = np.array([0, 100, 2000])
    found = random_forest.compute_features(image, rows, 1)
    every = random_forest.compute_features(image, np.arange(image.size), 2)
    assert found.dtype == np.float32
    assert found.shape == (3, 1 + 9 * len(random_forest.SIGMAS))
    np.testing.assert_allclose(found, every[rows], rtol=1e-5)


def test_one_cycle_rises_to_the_peak_and_falls_to_nothing():
    from monai_training import WARM_UP_SHARE, _one_cycle

    assert _one_cycle(0) < 0.1
    assert _one_cycle(WARM_UP_SHARE) == pytest.approx(1)
    assert _one_cycle(1) == pytest.approx(0)
    assert _one_cycle(0.3) > _one_cycle(0.6) > _one_cycle(0.9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["random_forest", "monai_unet", "monai_dynunet"])
def test_a_baseline_runs(name, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    labels = np.zeros((48, 48, 48), np.uint8)
    labels[:, ::12] = labels[:, 1::12] = 1
    labels[40:] = 2
    image = (100 * (labels == 1) + rng.integers(0, 80, labels.shape)).astype(np.uint8)
    paths = [tmp_path / f"{part}.tif" for part in ("image", "labels", "probs")]
    for path, array in zip(paths, (image, labels), strict=False):
        tifffile.imwrite(path, array)
    arguments = ["--train-image", paths[0], "--train-labels", paths[1], "--test-image", paths[0]]
    arguments += ["--output", paths[2], "--seconds", "5", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / "baselines" / f"{name}.py"), run_name="__main__")
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["steps"] > 0
    assert 0 < facts["threshold"] < 1
    probs = tifffile.imread(paths[2])
    assert probs[:40][labels[:40] == 1].mean() > probs[:40][labels[:40] == 0].mean()
