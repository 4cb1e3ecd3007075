"""The window's search for doubtful places as a process: its lines, its table, its refusals."""

import json

import numpy as np
import pytest
import tifffile

from napari_surfseg.inference.doubt_process import DoubtJob, main
from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.proofreading.places import read_places


@pytest.fixture
def job(tmp_path):
    probs = np.zeros((24, 32, 32), np.uint8)
    probs[11:13] = 235
    probs[11:13, 14:18, 14:18] = 90
    tifffile.imwrite(tmp_path / "probs.tif", probs)
    return DoubtJob(str(tmp_path / "probs.tif"), threshold=0.5, spacing=(1.0, 1.0, 1.0))


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_it_reports_its_stages_and_leaves_a_table(tmp_path, job, capsys):
    assert main([str(write_job(tmp_path, job))]) == 0
    lines = lines_of(capsys)
    assert [line["stage"] for line in lines[:2]] == ["starting", "looking for doubtful places"]
    result = lines[-1]["result"]
    assert (result["warnings"], result["threshold"]) == ([], 0.5)
    assert [p.kind for p in read_places(tmp_path / result["places"])] == ["hole"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prediction": "gone.tif"}, "gone.tif"),
        ({"earlier": "gone.tif"}, "gone.tif"),
        ({"ignore": "one"}, "cannot be read"),
        ({"spacing": [1, 0, 1]}, "voxel size"),
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
