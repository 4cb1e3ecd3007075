import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

REFERENCE = Path(__file__).parents[2] / ".." / "shared" / "reference"


def test_a_perfect_prediction(surfseg, volumes):
    code, out, err = surfseg("evaluate", "labels.tif", "labels.tif")
    assert (code, err) == (0, "")
    for name in ("surface_dice", "voi_score", "dice", "precision", "recall"):
        assert f"\n{name}" in f"\n{out}"
    assert out.count("1.0000") >= 5
    assert "b1 tunnels" in out


def test_json(surfseg, volumes):
    code, out, _ = surfseg("evaluate", "labels.tif", "labels.tif", "--json")
    assert code == 0
    scores = json.loads(out)
    assert scores["surface_dice"] == scores["dice"] == 1.0
    assert scores["voi_split"] == 0


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="../shared/reference is not here")
def test_reference_values_through_files(surfseg, tmp_path):
    expected = json.loads((REFERENCE / "surface_metric_expected_given.json").read_text())
    name = min(expected)
    with np.load(REFERENCE / "surface_metric_cases_given.npz") as cases:
        tifffile.imwrite(tmp_path / "pred.tif", cases[f"{name}_pred"])
        zarr.save_array(tmp_path / "label.zarr", cases[f"{name}_label"])
    code, out, _ = surfseg("evaluate", tmp_path / "pred.tif", tmp_path / "label.zarr", "--json")
    assert code == 0
    scores = json.loads(out)
    for key in ("surface_dice", "voi_score", "voi_split", "voi_merge"):
        assert scores[key] == pytest.approx(expected[name][key], abs=1e-6)


def test_which_labels_count(surfseg, volumes, read):
    labels = read("labels.tif")
    masks = np.where(labels == 1, np.uint8(255), np.uint8(7))
    tifffile.imwrite("masks.tif", masks)
    tifffile.imwrite("half.tif", np.where(np.arange(48) < 24, masks, np.uint8(2)))
    surface = {
        "labels.tif": (),
        "masks.tif": ("--foreground", "255"),
        "half.tif": ("--foreground", "255"),
    }
    for name, options in surface.items():
        _, out, _ = surfseg("evaluate", "labels.tif", name, "--json", *options)
        assert json.loads(out)["dice"] == 1.0, name
    # Without it, every value but 0 and the ignored ones is surface: everything here.
    _, out, _ = surfseg("evaluate", "labels.tif", "masks.tif", "--json")
    assert json.loads(out)["dice"] < 0.5
    # Scored although it is 2, because nothing is ignored.
    _, out, _ = surfseg(
        "evaluate", "labels.tif", "half.tif", "--json", "--ignore", "none", "--foreground", "255"
    )
    assert json.loads(out)["recall"] == 1.0
    assert json.loads(out)["precision"] < 1.0


def test_probabilities_are_cut_where_asked(surfseg, volumes, read):
    labels = read("labels.tif").astype(np.float32)
    tifffile.imwrite("float.tif", 0.2 + 0.5 * labels)
    tifffile.imwrite("bytes.tif", (255 * (0.2 + 0.5 * labels)).astype(np.uint8))
    for name in ("float.tif", "bytes.tif"):
        _, out, err = surfseg("evaluate", name, "labels.tif", "--json", "--threshold", "0.4")
        assert json.loads(out)["dice"] == 1.0
        assert err == ""
    code, _, err = surfseg("evaluate", "float.tif", "labels.tif")
    assert code == 0
    assert err.startswith("warning: float.tif looks like probabilities;")


def test_the_tolerance_is_in_units_of_the_spacing(surfseg, volumes, read):
    labels = read("labels.tif")
    tifffile.imwrite("moved.tif", np.roll(labels, 1, axis=1))

    def score(*options):
        _, out, _ = surfseg("evaluate", "moved.tif", "labels.tif", "--json", *options)
        return json.loads(out)["surface_dice"]

    assert score("--tolerance", "2") > 0.95
    assert score("--tolerance", "0") < 0.9
    far = score("--tolerance", "2", "--spacing", "9,9,9")
    assert far == pytest.approx(score("--tolerance", "0"))
    assert score("--spacing", "file") == score()


def test_the_topology_errors_as_a_table(surfseg, tmp_path):
    """A hole torn into a sheet, and a speck beside it."""
    label = np.zeros((24, 32, 32), np.uint8)
    label[5:7] = 1
    pred = label.copy()
    pred[5:7, 6:9, 20:23] = 0
    pred[9, 3:5, 3:5] = 1
    tifffile.imwrite(tmp_path / "pred.tif", pred)
    tifffile.imwrite(tmp_path / "label.tif", label)
    table = tmp_path / "errors.csv"
    common = ("evaluate", tmp_path / "pred.tif", tmp_path / "label.tif", "--errors", table)
    code, out, err = surfseg(*common)
    assert (code, err) == (0, "")
    assert f"topology errors: 2 (1 extra component, 1 hole), in {table}" in out
    rows = [line.split(",") for line in table.read_text().splitlines()]
    assert [row[0] for row in rows] == ["error", "hole", "extra component"]
    assert rows[1][7:] == ["18", "5", "6", "20", "7", "9", "23"]
    assert rows[2][7:] == ["4", "9", "3", "3", "10", "5", "5"]
    code, out, _ = surfseg(*common, "--json")
    assert json.loads(out)["topo_pred_1"] == 1
    for place, said in ((tmp_path, "is a folder"), (tmp_path / "no" / "e.csv", "no folder")):
        code, _, err = surfseg(*common[:-1], place)
        assert code == 2
        assert said in err
