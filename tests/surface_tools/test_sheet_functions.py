"""Touching sheets as tools: on arrays, and on files with place and scale."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_surfseg.data.open import open_volume
from napari_surfseg.surface_tools.files import ToolRun, run_tool
from napari_surfseg.surface_tools.sheet_functions import order_sheets, split_touching_sheets


def make_slabs():
    probs = np.zeros((30, 24, 24), np.float32)
    probs[6:9] = probs[14:17] = probs[22:25] = 0.9
    probs[6:25, 11:13, 11:13] = 0.8
    return probs


@pytest.mark.parametrize("kind", ["real", "bytes", "mask"])
def test_whatever_the_surface_is_given_as(kind):
    probs = make_slabs()
    values = {"real": probs, "bytes": (probs * 255).astype(np.uint8), "mask": probs > 0}[kind]
    labels = split_touching_sheets(values)
    assert labels.max() == 3
    assert all(len(np.unique(labels[at, :8])) == 1 for at in (7, 15, 23))
    assert order_sheets(labels)[[7, 15, 23], 0, 0].tolist() == [1, 2, 3]


def test_sheets_that_were_cut_are_pieces():
    cut = split_touching_sheets(make_slabs(), cut=True)
    assert ndimage.label(cut, np.ones((3, 3, 3)))[1] == 3
    assert set(np.unique(cut)) == {0, 1, 2, 3}


def test_on_files(tmp_path):
    tifffile.imwrite(tmp_path / "probs.tif", (make_slabs() * 255).astype(np.uint8))
    stages = []
    for tool, name, source in (
        ("split-touching-sheets", "surface", "probs.tif"),
        ("order-sheets", "sheets", "split-touching-sheets.tif"),
    ):
        job = ToolRun(tool, {name: str(tmp_path / source)}, str(tmp_path / f"{tool}.tif"), {})
        run_tool(job, lambda stage, _share: stages.append(stage))
    assert {"finding normals", "joining fragments", "ordering"} <= set(stages)
    ordered = open_volume(str(tmp_path / "order-sheets.tif"))
    assert ordered.content == "labels"
    assert ordered.read(*ordered.box)[[7, 15, 23], 0, 0].tolist() == [1, 2, 3]
