"""The window's export as a process: its lines, what it writes, its refusals."""

import json
import subprocess
import sys

import pytest

from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.model.open_network import open_network
from napari_surfseg.sharing.export_process import ExportJob, main


def lines_of(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow  # of the quick ones, the window's test starts it
def test_a_process_writes_a_network_that_is_read_again(tmp_path, checkpoint_path, tiny_checkpoint):
    pytest.importorskip("monai")
    output = tmp_path / "shared"
    job = write_job(tmp_path, ExportJob(str(checkpoint_path), str(output), "monai"))
    module = "napari_surfseg.sharing.export_process"
    done = subprocess.run(
        [sys.executable, "-m", module, str(job)], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line["stage"] for line in lines[:2]] == ["starting", "loading the network"]
    assert lines[-1] == {"result": {"written": str(output)}}
    read = open_network(output / "models" / "model.safetensors")
    assert read.threshold == tiny_checkpoint.threshold
    assert read.weights.keys() == tiny_checkpoint.weights.keys()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"checkpoint": "gone.pt"}, "gone.pt"),
        ({"output": "no_folder/shared"}, "no folder"),
        ({"kind": "tiff"}, "There is no format tiff"),
        ({"nonsense": 1}, "cannot be read"),
    ],
)
def test_it_refuses_in_a_sentence(tmp_path, checkpoint_path, capsys, values, said):
    pytest.importorskip("monai")
    path = write_job(tmp_path, ExportJob(str(checkpoint_path), str(tmp_path / "shared"), "monai"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    before = sorted(tmp_path.iterdir())
    assert main([str(path)]) != 0
    error = lines_of(capsys)[-1]["error"]
    assert said in error
    assert error.endswith(".")
    assert sorted(tmp_path.iterdir()) == before


def test_memory_that_runs_out_is_a_sentence(tmp_path, checkpoint_path, capsys, monkeypatch):
    def run_out(*_given, **_named):
        raise MemoryError

    monkeypatch.setattr("napari_surfseg.sharing.export.export_network", run_out)
    job = ExportJob(str(checkpoint_path), str(tmp_path / "shared"), "monai")
    assert main([str(write_job(tmp_path, job))]) != 0
    assert lines_of(capsys)[-1]["error"] == "There is not enough memory to write the network."
