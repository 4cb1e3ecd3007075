"""Commands that answer, fail, hang, or leave something behind."""

import sys
import time

import pytest

from napari_surfseg.errors import RunError
from napari_surfseg.runs.launchers.commands import run_command


def python(text):
    return [sys.executable, "-c", text]


def test_what_a_command_says_is_kept(tmp_path):
    answer = run_command(
        python("print('a'); import sys; sys.exit('why not.\\n')"), tmp_path, seconds=9
    )
    assert (answer.code, answer.output, answer.reason) == (1, "a\n", "why not")
    assert run_command(python("raise SystemExit(3)"), tmp_path, seconds=9).reason == "exit status 3"


def test_what_a_command_leaves_in_the_background_is_not_waited_for(tmp_path):
    began = time.monotonic()
    answer = run_command(["sh", "-c", "sleep 4 & echo job $!"], tmp_path, seconds=9)
    assert answer.output.startswith("job ")
    assert time.monotonic() - began < 3


def test_one_that_hangs_is_ended_with_all_it_started(tmp_path):
    with pytest.raises(RunError, match=r"^sh did not answer within 0\.3 s\.$"):
        run_command(["sh", "-c", "(sleep 1; touch late) & wait"], tmp_path, seconds=0.3)
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("arguments", [["no such program"], ["/"], ["a\0b"]])
def test_what_cannot_be_run_is_said(tmp_path, arguments):
    with pytest.raises(RunError, match="cannot be run: "):
        run_command(arguments, tmp_path, seconds=1)
