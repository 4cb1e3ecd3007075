"""Topology errors in the report: a table, pictures, and nothing for runs that kept nothing."""

import re
import struct

import numpy as np
import pytest

from napari_surfseg.metrics.error_samples import (
    ErrorRow,
    ErrorSamples,
    ScoredRegion,
    write_error_samples,
)
from napari_surfseg.metrics.error_table import ERROR_NAMES
from napari_surfseg.metrics.topology_errors import find_topology_errors
from napari_surfseg.runs.report.page import write_report
from napari_surfseg.runs.report.topology_section import PLURALS, describe_errors
from napari_surfseg.runs.worker.worker import run_training


@pytest.fixture
def region():
    """A torn sheet with a speck beside it, in a box that begins at (10, 20, 30)."""
    label = np.zeros((24, 40, 40), np.uint8)
    label[5:7] = 1
    label[:, 36:] = 2
    pred = (label == 1).astype(np.uint8)
    pred[5:7, 6:9, 24:27] = 0
    pred[9, 3:5, 3:5] = 1
    image = np.random.default_rng(0).integers(0, 255, label.shape, np.uint8)
    errors = find_topology_errors(pred, label, 2)
    return ScoredRegion("scan | 1.tif", (10, 20, 30), image, label, pred, errors)


def test_a_run_that_kept_its_errors_shows_them(folder, fake_trainer, region):
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    write_error_samples(folder.samples, [region], epoch=3)
    text = write_report(folder.path).read_text(encoding="utf-8")
    assert "At epoch 3 there were 2 topology errors on the validation data: " in text
    assert "1 extra component and 1 hole." in text
    (row,) = (line for line in text.splitlines() if line.startswith("| hole "))
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert cells[:5] == ["hole", r"`scan \| 1.tif`", "1", "18", "2 × 3 × 3"]
    z, y, x = map(int, cells[5].split(","))
    assert (z in {15, 16}, y in {26, 27, 28}, x in {54, 55, 56}) == (True, True, True)
    assert "report/topology_errors.png" in text
    data = (folder.report_folder / "topology_errors.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert width > 500
    assert height > 500  # a row for each of the two kinds


def test_a_report_is_whole_without_them(folder, fake_trainer):
    run_training(folder.path, build_trainer=fake_trainer())
    text = folder.report_path.read_text(encoding="utf-8")
    assert "### Topology errors" not in text
    assert not (folder.report_folder / "topology_errors.png").exists()


def test_what_was_left_out_is_said(region):
    rows = [ErrorRow(error, "scan", 3) for error in region.errors]
    text = "\n".join(describe_errors(ErrorSamples(7, {"hole": 2000, "bridge": 1}, rows), None))
    assert "2,001 topology errors" in text
    assert "2,000 holes and 1 bridge. The table holds the largest 50 patches." in text
    assert "![" not in text
    text = "\n".join(describe_errors(ErrorSamples(7, {}, []), None))
    assert "every feature of the prediction and the labels had its partner" in text
    assert describe_errors(None, None) == []
    assert list(PLURALS) == [name for name, _ in ERROR_NAMES.values()]
