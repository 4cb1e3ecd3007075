"""``surfseg export``."""

import pytest

from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.model.open_network import open_network


@pytest.fixture
def run_folder(tmp_path, tiny_checkpoint):
    folder = tmp_path / "first"
    (folder / "checkpoints").mkdir(parents=True)
    save_checkpoint(folder / "checkpoints" / "best.pt", tiny_checkpoint)
    return folder


def test_a_run_becomes_a_bundle(surfseg, tmp_path, run_folder):
    pytest.importorskip("monai", reason="pip install napari-surfseg[share]")
    out = tmp_path / "walls"
    code, said, err = surfseg(
        "export", run_folder, out, "--title", "Walls", "--author", "A", "--author", "B"
    )
    assert (code, err) == (0, "")
    assert said == f"MONAI bundle (a folder): {out}, licence CC-BY-4.0\n"
    assert open_network(out).threshold == 0.37
    card = (out / "docs/README.md").read_text()
    assert "# Walls" in card
    assert "Authors: A, B" in card


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("first", "first"), "exists already"),
        (("nothing", "walls"), "There is no checkpoint nothing"),
        (("first", "no/walls"), "there is no folder no"),
        (("first", "walls", "--format", "onnx"), "end in .onnx"),
        (("first", "walls", "--license", "my own"), "spdx.org/licenses"),
        (("first", "walls", "--format", "keras"), "invalid choice"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    surfseg, tmp_path, run_folder, monkeypatch, arguments, says
):
    pytest.importorskip("monai", reason="pip install napari-surfseg[share]")
    monkeypatch.chdir(tmp_path)
    code, out, err = surfseg("export", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
