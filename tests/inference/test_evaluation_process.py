"""The window's evaluation as a process: its lines, its table, its refusals."""

import json

import numpy as np
import pytest
import tifffile

from napari_surfseg.inference.evaluation_process import EvaluationJob, main
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.metrics.error_table import read_error_table


@pytest.fixture
def job(tmp_path):
    """Two labelled sheets (5), beside them a region nobody annotated (9), a bridge between."""
    labels = np.zeros((24, 32, 32), np.uint8)
    labels[5:7] = labels[9:11] = 5
    pred = (labels == 5).astype(np.uint8)
    pred[7:9, 4, 4] = pred[7:9, 10, 10] = 1
    labels[:, :, 28:] = 9
    pred[20, 20, 30] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    tifffile.imwrite(tmp_path / "pred.tif", pred)
    return EvaluationJob(
        str(tmp_path / "pred.tif"), str(tmp_path / "labels.tif"), foreground=(5,), ignore=(9,)
    )


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_reports_its_stages_and_leaves_a_table(tmp_path, job, capsys):
    assert main([str(write_job(tmp_path, job))]) == 0
    lines = lines_of(capsys)
    assert [line["stage"] for line in lines[:4]] == [
        "starting",
        "reading the prediction",
        "reading the labels",
        "scoring",
    ]
    result = lines[-1]["result"]
    assert 0 < result["scores"]["score"] < 1
    assert result["warnings"] == []
    errors = read_error_table(tmp_path / result["errors"])
    # What is not annotated is not scored; the two bridges close a ring and join two pieces.
    assert sorted(error.name for error in errors) == ["bridge", "missing component"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prediction": "gone.tif"}, "gone.tif"),
        ({"foreground": "one"}, "cannot be read"),
        ({"nonsense": 1}, "cannot be read"),
    ],
)
def test_it_refuses_in_a_sentence(tmp_path, job, capsys, values, said):
    path = write_job(tmp_path, job)
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    assert main([str(path)]) == 2
    error = lines_of(capsys)[-1]["error"]
    assert said in error
    assert error.endswith(".")
    assert main([]) == 2


def test_volumes_of_two_shapes_are_refused(tmp_path, job, capsys):
    tifffile.imwrite(tmp_path / "pred.tif", np.zeros((24, 32, 31), np.uint8))
    assert main([str(write_job(tmp_path, job))]) == 2
    assert "24 x 32 x 31" in lines_of(capsys)[-1]["error"]
