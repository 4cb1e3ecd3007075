"""What is filled into commands, quoted where a shell reads it."""

import shlex

import pytest

from napari_surfseg.runs.launchers.template import PLACES, check_places, fill_arguments, fill_line

ODD = ["a b", "it's", '"', "$HOME", "`id`", "; rm -rf x", "\\", "ü", "*", "-n", "\n"]


@pytest.mark.parametrize("odd", ODD)
def test_a_path_reaches_the_worker_as_it_is_whoever_reads_it(odd):
    command = ["surfseg", "train", f"/lab/{odd}/config.yaml"]
    assert fill_arguments(["run", "{command}"], {}, command) == ["run", *command]
    line = fill_line("cd {run:sh} && {command:sh}", {"run": odd}, command)
    assert shlex.split(line) == ["cd", odd, "&&", *command]
    assert fill_arguments(["--chdir={run}"], {"run": odd}, ()) == [f"--chdir={odd}"]


@pytest.mark.parametrize(
    ("text", "is_script", "wrong"),
    [
        ("{run}", False, ""),
        ("--output={job_log}", False, ""),
        ("cd {run:sh} && {command:sh}", False, ""),
        ("kill {job}", False, ""),
        ("echo ${run} {a,b} {print $1} {}", False, ""),
        ("cd {run}", False, "{run} stands in a line for a shell, where it is written {run:sh}"),
        ("#{run}", True, "{run} stands in a line for a shell"),
        ("{command} now", False, "{command} stands in a line for a shell"),
        ("x{command}", False, "{command} is an argument of its own"),
        ("{rum}", False, "{rum} is none of what can be filled in: command, run,"),
    ],
)
def test_places_are_checked_before_anything_runs(text, is_script, wrong):
    found = check_places(text, tuple(PLACES), is_script=is_script)
    assert found.startswith(wrong)
    assert bool(found) == bool(wrong)
