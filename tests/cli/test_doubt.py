import numpy as np
import pytest
import tifffile

from napari_surfseg.proofreading.places import read_places


@pytest.fixture
def probs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    probs = np.zeros((24, 48, 48), np.uint8)
    probs[11:13] = 235
    probs[11:13, 14:18, 14:18] = 90
    probs[3:6, 30:33, 30:33] = 160
    tifffile.imwrite("probs.tif", probs)
    return probs


def test_a_table_and_the_first_of_it(surfseg, probs, tmp_path):
    code, out, err = surfseg("doubt", "probs.tif", "--threshold", 0.5, "--output", "places.csv")
    assert (code, err) == (0, "")
    places = read_places(tmp_path / "places.csv")
    assert [p.kind for p in places] == ["hole", "small piece"]
    assert out.startswith("doubtful places: 2 (1 hole, 1 small piece)\n")
    assert places[0].reason in out
    surfseg("doubt", "probs.tif", "--threshold", 0.5, "--most", 1, "--output", "places.csv")
    assert read_places(tmp_path / "places.csv") == places[:1]


def test_what_is_compared(surfseg, probs, tmp_path):
    tifffile.imwrite("earlier.tif", np.where(probs == 235, np.uint8(20), probs))
    strokes = np.zeros(probs.shape, np.uint8)
    strokes[:, :28, :28] = 1
    tifffile.imwrite("strokes.tif", strokes)
    options = ("--threshold", 0.5, "--earlier", "earlier.tif")
    options += ("--labels", "strokes.tif", "--ignore", 0, "--output", "places.csv")
    assert surfseg("doubt", "probs.tif", *options)[0] == 0
    kinds = {p.kind for p in read_places(tmp_path / "places.csv")}
    assert "flickering" in kinds
    assert "hole" not in kinds


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--output", "no/where.csv"), "There is no folder no"),
        (("--output", "."), "is a folder"),
        (("--output", "a.csv", "--most", 0), "--most is 0"),
        (("--output", "a.csv", "--other", "gone.tif"), "gone.tif"),
        (("--output", "a.csv", "--earlier", "small.tif"), "must be of one shape"),
    ],
)
def test_refusals(surfseg, probs, tmp_path, options, said):
    tifffile.imwrite("small.tif", probs[1:])
    code, _, err = surfseg("doubt", "probs.tif", *options)
    assert code == 2
    assert said in err
    assert not (tmp_path / "a.csv").exists()
