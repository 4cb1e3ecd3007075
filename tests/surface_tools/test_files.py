"""Tools on files: place and units kept, probabilities told from masks, refusals in a sentence."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path  # noqa: TC003  read when a tool's parameters are listed
from typing import Annotated

import numpy as np
import pytest
import tifffile

from napari_surfseg.cancelling import listening
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.inference.label_writer import write_array
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.surface_tools import files, process
from napari_surfseg.surface_tools.files import ToolRun, run_tool
from napari_surfseg.surface_tools.registry import TOOLS, Tool
from napari_surfseg.surface_tools.results import FolderContents, describe_columns
from napari_surfseg.surface_tools.setting import Setting
from napari_surfseg.surfaces.measures import compute_area
from napari_surfseg.surfaces.mesh import make_mesh
from napari_surfseg.surfaces.mesh_reading import read_mesh

PLACED = VolumeMetadata((3.0, 2.0, 2.0), "nanometer", (30.0, 0.0, 4.0), "labels")


@pytest.fixture
def surface(tmp_path):
    mask = np.zeros((12, 16, 16), np.uint8)
    mask[5:8] = 1
    write_array(tmp_path / "surface.zarr", mask, PLACED, name="surface.zarr")
    return tmp_path / "surface.zarr"


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".npy"])
def test_labels_lie_where_their_surface_does(surface, tmp_path, suffix):
    out = tmp_path / f"middle{suffix}"
    answer = run_tool(ToolRun("medial-surface", {"surface": str(surface)}, str(out), {}))
    assert answer["written"] == str(out)
    assert answer["notes"] == []
    written = open_volume(out)
    values = written.read(*written.box)
    assert values[6].all()
    assert values.sum() == 16 * 16
    if suffix != ".npy":
        assert written.spacing == (3.0, 2.0, 2.0)
        assert written.units == "nanometer"
        assert written.translate == (30.0, 0.0, 4.0)
        assert written.content == "labels"


def test_a_mesh_lies_there_too(surface, tmp_path):
    out = tmp_path / "sheet.ply"
    run_tool(ToolRun("surface-mesh", {"surface": str(surface)}, str(out), {"smoothing": 0}))
    vertices, _, units = read_mesh(out)
    assert units == "nanometer"
    assert vertices[:, 0].mean() == pytest.approx(30 + 18, abs=0.5)


@pytest.mark.parametrize(
    ("values", "threshold", "count"),
    [
        (np.linspace(0, 255, 1000).reshape(10, 10, 10).astype(np.uint8), 0.5, 500),
        (np.linspace(0, 1, 1000).reshape(10, 10, 10).astype(np.float32), 0.9, 100),
    ],
)
def test_probabilities_are_cut_where_a_mask_is_needed(tmp_path, values, threshold, count):
    tifffile.imwrite(tmp_path / "probs.tif", values)
    out = tmp_path / "pieces.npy"
    job = ToolRun("label-pieces", {"surface": str(tmp_path / "probs.tif")}, str(out), {}, threshold)
    answer = run_tool(job)
    assert np.count_nonzero(np.load(out)) == pytest.approx(count, abs=3)
    assert answer["notes"] == [f"probs.tif holds probabilities; surface is above {threshold:g}."]


def test_a_table_is_written_and_returned(surface, tmp_path):
    out = tmp_path / "scores.csv"
    inputs = {"surface": str(surface), "labels": str(surface)}
    answer = run_tool(ToolRun("score-against-labels", inputs, str(out), {}))
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"score": "surface_dice", "value": "1.0"}
    assert answer["table"][0] == {"score": "surface_dice", "value": 1.0}


def refused(tmp_path, surface, **changed):
    values = {
        "tool": "medial-surface", "inputs": {"surface": str(surface)},
        "output": str(tmp_path / "out.tif"), "settings": {},
    }  # fmt: skip
    with pytest.raises(SurfsegError) as caught:
        run_tool(ToolRun(**{**values, **changed}))
    assert not (tmp_path / "out.tif").exists()
    return str(caught.value)


def test_what_cannot_be_done_is_one_sentence(surface, tmp_path, monkeypatch):
    assert "There is no tool 'x'" in refused(tmp_path, surface, tool="x")
    out = str(tmp_path / "out.ply")
    assert "medial-surface writes .zarr or .tif" in refused(tmp_path, surface, output=out)
    assert "exists already" in refused(tmp_path, surface, output=str(surface))
    gone = str(tmp_path / "gone" / "out.tif")
    assert "does not exist" in refused(tmp_path, surface, output=gone)
    assert "no setting 'y'" in refused(tmp_path, surface, settings={"y": 1})
    missing = {"surface": str(tmp_path / "missing.tif")}
    assert "missing.tif" in refused(tmp_path, surface, inputs=missing)
    nan = tmp_path / "nan.npy"
    np.save(nan, np.full((4, 4, 4), np.nan, np.float32))
    assert "64 voxels that are NaN" in refused(tmp_path, surface, inputs={"surface": str(nan)})
    real = tmp_path / "real.npy"
    np.save(real, np.full((4, 4, 4), 0.5, np.float32))
    for tool in ("measure-sheets", "remove-small-pieces"):
        out = str(tmp_path / ("out.csv" if tool == "measure-sheets" else "out.tif"))
        said = refused(tmp_path, surface, tool=tool, output=out, inputs={"surface": str(real)})
        assert "labels are needed" in said
    small = tmp_path / "small.npy"
    np.save(small, np.ones((4, 4, 4), np.uint8))
    unlike = refused(
        tmp_path,
        surface,
        tool="score-against-labels",
        output=str(tmp_path / "out.csv"),
        inputs={"surface": str(surface), "labels": str(small)},
    )
    assert "12 × 16 × 16" in unlike
    assert "4 × 4 × 4" in unlike
    monkeypatch.setattr(files, "find_free_memory", lambda: 1000)
    scored = {
        "tool": "score-against-labels",
        "output": str(tmp_path / "out.csv"),
        "inputs": {"surface": str(surface), "labels": str(surface)},
    }
    assert "takes about" in refused(tmp_path, surface, **scored)


def test_the_process_answers_line_by_line(surface, tmp_path, capsys):
    out = tmp_path / "filled.tif"
    job = write_job(tmp_path, ToolRun("fill-holes", {"surface": str(surface)}, str(out), {}))
    assert process.main([str(job)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["result"]["written"] == str(out)
    assert "fill holes" in {line.get("stage") for line in lines}
    assert process.main([str(job)]) != 0
    assert "exists already" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".npy"])
def test_a_large_volume_is_done_by_blocks_and_written_alike(surface, tmp_path, suffix, monkeypatch):
    whole, parts = tmp_path / f"whole{suffix}", tmp_path / f"parts{suffix}"
    run_tool(ToolRun("remove-small-pieces", {"surface": str(surface)}, str(whole), {}))
    stages = []
    monkeypatch.setattr(files, "WHOLE_BYTES", 0)
    run_tool(
        ToolRun("remove-small-pieces", {"surface": str(surface)}, str(parts), {}),
        lambda stage, _share: stages.append(stage),
    )
    assert "looking for pieces" in stages
    expected, found = open_volume(whole), open_volume(parts)
    assert found.dtype == expected.dtype
    assert found.spacing == expected.spacing
    assert np.array_equal(found.read(*found.box), expected.read(*expected.box))
    assert {item.name for item in tmp_path.iterdir()} == {whole.name, parts.name, surface.name}


@pytest.mark.parametrize("suffix", [".zarr", ".tif", ".npy"])
def test_one_that_is_stopped_between_blocks_leaves_nothing(surface, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(files, "WHOLE_BYTES", 0)
    wanted = []

    def report(stage, _share):
        if stage in {"computing", "writing the result"}:
            wanted.append(True)

    job = ToolRun("threshold-surface", {"surface": str(surface)}, str(tmp_path / f"o{suffix}"), {})
    with listening(lambda: bool(wanted)), pytest.raises(CancelledError):
        run_tool(job, report)
    assert [item.name for item in tmp_path.iterdir()] == [surface.name]


def test_a_full_disk_is_found_before_anything_is_read(surface, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    assert "needs about 3 KiB on the disk" in refused(tmp_path, surface)


def test_a_tool_without_inputs_writes_a_folder(tmp_path, monkeypatch):
    def make_shells(
        *, count: Annotated[int, Setting("How many", 1, 9)] = 2, folder: Path
    ) -> FolderContents:
        """Make shells."""
        for number in range(count):
            np.save(folder / f"{number}.npy", np.zeros((4, 4, 4), np.uint8))
        return FolderContents(("0.npy",), [{"made": count}], ("Mind.",))

    tool = Tool("Shells", make_shells, {}, "folder", "shells")
    monkeypatch.setitem(TOOLS, tool.name, tool)
    answer = run_tool(ToolRun("make-shells", {}, str(tmp_path / "out"), {"count": 3}))
    assert answer["opened"] == ["0.npy"]
    assert answer["table"] == [{"made": 3}]
    assert answer["notes"] == ["Mind."]
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_columns_of_a_table_have_units():
    powers = TOOLS["measure-sheets"].powers
    found = describe_columns(powers, "nanometer")
    assert found["area"] == "nm²"
    assert found["mean_curvature"] == "nm⁻¹"
    assert describe_columns(powers, None) == {}


@pytest.mark.parametrize("settings", [{}, {"kind": "closed"}, {"colour": "gap"}], ids=str)
def test_a_mesh_of_a_volume_read_by_blocks(surface, tmp_path, settings, monkeypatch):
    areas = []
    for name in ("whole", "parts"):
        out = tmp_path / f"{name}.ply"
        run_tool(ToolRun("surface-mesh", {"surface": str(surface)}, str(out), settings))
        vertices, faces, _ = read_mesh(out)
        areas.append(compute_area(make_mesh(vertices, faces)))
        monkeypatch.setattr(files, "WHOLE_BYTES", 0)
    assert areas[1] == pytest.approx(areas[0], rel=0.02)


def test_meshes_of_sheets_read_by_blocks_are_the_same(surface, tmp_path, monkeypatch):
    tables = []
    for name in ("whole", "parts"):
        job = ToolRun("sheet-meshes", {"surface": str(surface)}, str(tmp_path / name), {})
        tables.append(run_tool(job)["table"])
        monkeypatch.setattr(files, "WHOLE_BYTES", 0)
    assert tables[0] == tables[1]


def test_values_that_mean_no_surface_are_left_out(tmp_path):
    labels = np.zeros((6, 8, 8), np.uint8)
    labels[1], labels[4] = 1, 2
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    out = tmp_path / "pieces.npy"
    job = ToolRun(
        "label-pieces",
        {"surface": str(tmp_path / "labels.tif")},
        str(out),
        {},
        contents={"surface": "labels"},
        left_out={"surface": [2]},
    )
    answer = run_tool(job)
    assert np.array_equal(np.load(out) > 0, labels == 1)
    assert answer["notes"] == ["The value 2 of labels.tif means no surface."]
