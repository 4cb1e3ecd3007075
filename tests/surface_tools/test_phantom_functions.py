"""A phantom as a tool that takes nothing."""

import numpy as np

from napari_surfseg.cli.main import main
from napari_surfseg.data.open import open_volume
from napari_surfseg.surface_tools.files import ToolRun, run_tool


def test_a_phantom_is_three_volumes_with_their_kinds(tmp_path):
    stages = []
    settings = {"depth": 16, "width": 64, "seed": 3, "annotated": "strokes"}
    job = ToolRun("make-phantom", {}, str(tmp_path / "scroll"), settings)
    answer = run_tool(job, lambda stage, share: stages.append((stage, share)))
    assert answer["opened"] == ["image.zarr", "winding.zarr", "labels.zarr"]
    assert answer["annotated"] == ["labels.zarr"]
    assert answer["hidden"] == ["winding.zarr"]
    volumes = [open_volume(tmp_path / "scroll" / name) for name in answer["opened"]]
    assert [volume.content for volume in volumes] == [None, "labels", "labels"]
    assert all(volume.shape == (16, 64, 64) for volume in volumes)
    assert all(volume.units == "micrometer" for volume in volumes)
    winding = volumes[1].read(*volumes[1].box)
    assert len(np.unique(winding)) > 2
    assert ("making the scroll", 1.0) in stages


def test_the_command_line_makes_one_without_an_input(tmp_path, capsys):
    out = tmp_path / "scroll"
    sizes = ["--set", "depth=16", "--set", "width=64"]
    assert main(["tool", "make-phantom", "--output", str(out), *sizes]) == 0
    assert (out / "winding.zarr").is_dir()
    assert main(["tool", "make-phantom"]) == 0
    assert "takes no volume" in capsys.readouterr().out
    assert main(["tool", "make-phantom", "a.tif", "--output", str(tmp_path / "b")]) == 2
    assert "takes no volume, so 0 volumes; 1 were given" in capsys.readouterr().err
