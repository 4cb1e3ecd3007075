"""Where a run's network goes, and that nothing is left where it does not get there."""

import json
import shutil
from pathlib import Path

import pytest

from napari_surfseg.errors import CancelledError, OutputError, RunError, SurfsegError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.run_table.share_run import complete_output, share_run, suggest_output
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.sharing.settings import SUFFIXES, ShareSettings

MODULE = "napari_surfseg.sharing.export_process"


class FakeProcess:
    """Writes what a process would, or raises in the midst of it."""

    def __init__(self, error=None):
        self.error = error

    def run(self, job_file):
        job = json.loads(job_file.read_text())
        self.output = Path(job["output"])
        if job["kind"] == "monai":
            self.output.mkdir()
            (self.output / "weights").write_text("new")
        else:
            self.output.write_text("new")
        if self.error:
            raise self.error(f"{self.output} cannot be written.")
        return {"written": job["output"]}


@pytest.fixture
def trained(run):
    run.checkpoints.mkdir(exist_ok=True)
    run.best_checkpoint.write_bytes(b"")
    return run.path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("kind", "suffix"), SUFFIXES.items())
class TestEveryFormat:
    def test_a_free_name_beside_the_run_is_suggested(self, tmp_path, kind, suffix):
        run = tmp_path / "first"
        assert suggest_output(run, kind) == tmp_path / f"first_shared{suffix}"
        (tmp_path / f"first_shared{suffix}").touch()
        assert suggest_output(run, kind) == tmp_path / f"first_shared_2{suffix}"

    def test_the_ending_is_completed_and_no_folder_is_replaced(self, tmp_path, kind, suffix):
        assert complete_output(tmp_path / "v1.2", kind) == tmp_path / f"v1.2{suffix}"
        assert complete_output(tmp_path / f"a{suffix}", kind) == tmp_path / f"a{suffix}"
        (tmp_path / f"a{suffix}").mkdir()
        with pytest.raises(OutputError, match=r"exists already; choose another name\.$"):
            complete_output(tmp_path / "a", kind)

    def test_it_arrives_whole_and_alone(self, tmp_path, trained, kind, suffix):
        output = tmp_path / f"out{suffix}"
        process = FakeProcess()
        assert share_run(trained, output, kind, process) == output
        assert process.output.name == output.name
        assert names(tmp_path) == ["first", output.name]
        assert (output / "weights" if kind == "monai" else output).read_text() == "new"

    @pytest.mark.parametrize("error", [CancelledError, OutputError, RunError])
    def test_what_ends_early_leaves_nothing(self, tmp_path, trained, kind, suffix, error):
        output = tmp_path / f"out{suffix}"
        with pytest.raises(error) as raised:
            share_run(trained, output, kind, FakeProcess(error))
        assert str(raised.value) == f"{output} cannot be written."
        assert names(tmp_path) == ["first"]


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path, trained):
    output = tmp_path / "out.onnx"
    output.write_text("old")
    with pytest.raises(SurfsegError):
        share_run(trained, output, "onnx", FakeProcess(SurfsegError))
    assert output.read_text() == "old"
    share_run(trained, output, "onnx", FakeProcess())
    assert output.read_text() == "new"


def test_a_run_or_a_folder_that_is_gone_is_a_sentence(tmp_path, trained):
    with pytest.raises(OutputError, match=r"gone.*\.$"):
        share_run(trained, tmp_path / "gone" / "out.zip", "bioimageio", FakeProcess())
    shutil.rmtree(trained / "checkpoints")
    with pytest.raises(SurfsegError, match=r"no checkpoint.*first.*\.$"):
        share_run(trained, tmp_path / "out.zip", "bioimageio", FakeProcess())


def test_a_real_process_writes_a_real_network(tmp_path, trained, tiny_checkpoint):
    pytest.importorskip("monai")
    save_checkpoint(trained / "checkpoints" / "best.pt", tiny_checkpoint)
    stages = []
    process = JobProcess(
        "napari_surfseg.sharing.export_process",
        "export",
        report=lambda *given: stages.append(given),
    )
    settings = ShareSettings("Cells", ("A. Person",), "CC0-1.0")
    share_run(trained, tmp_path / "out", "monai", process, settings)
    facts = json.loads((tmp_path / "out" / "configs" / "metadata.json").read_text())
    assert facts["name"] == "Cells"
    assert "A. Person" in facts["authors"]
    assert (tmp_path / "out" / "models" / "model.safetensors").is_file()
    assert names(tmp_path) == ["first", "out"]
    assert "loading the network" in {stage for stage, _share in stages}


def test_a_real_process_that_is_cancelled_leaves_nothing(tmp_path, trained, tiny_checkpoint):
    pytest.importorskip("monai")
    save_checkpoint(trained / "checkpoints" / "best.pt", tiny_checkpoint)
    process = JobProcess(MODULE, "export")
    process.report = lambda _stage, _share: process.cancel()
    with pytest.raises(CancelledError, match=r"^The export was cancelled\.$"):
        share_run(trained, tmp_path / "out", "monai", process)
    assert names(tmp_path) == ["first"]
