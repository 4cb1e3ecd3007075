"""``surfseg tool``: a list, a description, a run, and refusals."""

import numpy as np
import pytest

from napari_surfseg.cli.main import main
from napari_surfseg.surface_tools.registry import TOOLS, Tool
from napari_surfseg.surface_tools.results import FolderContents


@pytest.fixture
def sheets(tmp_path):
    labels = np.zeros((16, 16, 16), np.uint8)
    labels[3:6], labels[10:13] = 1, 2
    np.save(tmp_path / "sheets.npy", labels)
    return tmp_path / "sheets.npy"


def test_without_a_tool_there_is_a_list(capsys):
    assert main(["tool"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(TOOLS)


@pytest.mark.parametrize("name", list(TOOLS))
def test_each_tool_describes_itself(name, capsys):
    assert main(["tool", name]) == 0
    said = capsys.readouterr().out
    for parameter in TOOLS[name].parameters:
        assert f"  {parameter.name}=" in said


def test_a_table_has_headings_and_is_written(sheets, tmp_path, capsys):
    out = tmp_path / "m.csv"
    assert main(["tool", "measure-sheets", str(sheets), "--output", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["label", "voxels"]
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert lines[-1] == f"measure sheets: {out}"
    assert len(out.read_text().splitlines()) == 3


def test_labels_are_written(sheets, tmp_path, capsys):
    out = tmp_path / "out.zarr"
    given = ["tool", "label-pieces", str(sheets), "--output", str(out), "--set", "min_voxels=10"]
    assert main(given) == 0
    assert out.is_dir()
    assert main(given) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_tool_without_volumes_runs_once_it_has_an_output(tmp_path, monkeypatch, capsys):
    def make_nothing(*, folder) -> FolderContents:
        """Make nothing."""
        return FolderContents(table=[{"row": number} for number in range(50)])

    tool = Tool("Nothing", make_nothing, {}, "folder", "nothing")
    monkeypatch.setitem(TOOLS, tool.name, tool)
    assert main(["tool", "make-nothing"]) == 0
    assert "takes no volume" in capsys.readouterr().out
    assert main(["tool", "make-nothing", "--output", str(tmp_path / "o")]) == 0
    assert "and 10 more rows" in capsys.readouterr().out
    assert (tmp_path / "o").is_dir()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["score-cells", "a.tif", "--output", "o.csv"], "takes cells and truth, so 2 volumes; 1"),
        (["medial-surface", "a.tif"], "needs --output"),
        (["medial-surface", "a.tif", "--output", "o.tif", "--set", "x"], "no '='"),
        (["iron"], "There is no tool 'iron'"),
    ],
)
def test_what_is_wrong_is_one_sentence(given, sentence, capsys):
    assert main(["tool", *given]) == 2
    assert sentence in capsys.readouterr().err


def test_a_value_that_is_no_surface_is_left_out(sheets, tmp_path, capsys):
    out = tmp_path / "pieces.npy"
    given = ["tool", "label-pieces", str(sheets), "--output", str(out), "--leave-out", "2"]
    assert main(given) == 0
    assert np.load(out).max() == 1
    assert "The value 2 of sheets.npy means no surface." in capsys.readouterr().err
