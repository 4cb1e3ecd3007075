"""The process that stands by, with a preparation that fails: it must not matter."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import sys
from types import SimpleNamespace
def fail(): raise RuntimeError("no torch here")
sys.modules["napari_surfseg.training.warm_up"] = SimpleNamespace(warm_up=fail)
from napari_surfseg.cli.standby import main
sys.exit(main())
"""


def stand_by(line):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], input=line, capture_output=True, text=True, check=False
    )


def test_an_order_is_carried_out_and_its_output_goes_to_the_log(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("before\n")
    order = {"arguments": ["runs", str(tmp_path)], "log": str(log)}
    result = stand_by(json.dumps(order) + "\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert list(json.loads(result.stdout)) == ["gpu"]  # one line, and nothing of the order's
    assert log.read_text() == f"before\nThere are no runs in {tmp_path}.\n"


def test_it_returns_the_exit_code_of_a_refused_order(tmp_path):
    log = tmp_path / "train.log"
    order = {"arguments": ["runs", str(tmp_path / "gone")], "log": str(log)}
    assert stand_by(json.dumps(order) + "\n").returncode == 2
    assert "gone" in log.read_text()


@pytest.mark.slow  # of the quick ones, the test of a real one has it end
def test_without_an_order_it_ends():
    assert stand_by("").returncode == 0
