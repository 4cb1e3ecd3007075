"""Files and folders that appear whole or not at all."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from napari_surfseg import files
from napari_surfseg.errors import OutputError, RunError
from napari_surfseg.files import (
    explain_write_error,
    guarded,
    remove_file,
    remove_leftovers,
    restore_interrupted,
    written_aside,
)


@pytest.fixture(params=["file", "folder"])
def fill(request):
    """Make a file or a folder with some text in it."""

    def fill(path, text):
        if request.param == "folder":
            path.mkdir()
            path = path / "part"
        path.write_text(text, encoding="utf-8")

    return fill


def read(path):
    return (path / "part" if path.is_dir() else path).read_text(encoding="utf-8")


def test_it_replaces_what_is_there_when_it_is_complete(tmp_path, fill):
    target = tmp_path / "result"
    fill(target, "old")
    with written_aside(target) as temporary:
        fill(temporary, "new")
        assert read(target) == "old"
    assert read(target) == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_what_was_there(tmp_path, fill):
    target = tmp_path / "result"
    fill(target, "old")

    def fail_half_way():
        with written_aside(target) as temporary:
            fill(temporary, "half")
            raise KeyError("half way")

    with pytest.raises(KeyError):
        fail_half_way()
    assert read(target) == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_may_not_be_replaced_stays(tmp_path, fill):
    target = tmp_path / "result"
    fill(target, "old")
    with (
        pytest.raises(OutputError, match="exists already"),
        written_aside(target, overwrite=False) as temporary,
    ):
        fill(temporary, "new")
    assert read(target) == "old"


def test_a_full_disk_is_said_to_be_full(tmp_path):
    said = str(explain_write_error(tmp_path, OSError(errno.ENOSPC, "No space left on device")))
    assert said.startswith("The disk is full: ")
    other = str(explain_write_error(tmp_path, PermissionError(errno.EACCES, "Permission denied")))
    assert other.endswith("could not be written: Permission denied.")


@pytest.fixture
def without_exchange(monkeypatch):
    """Replace folders by two renames, as where the system has no exchange."""
    monkeypatch.setattr(files, "_exchange", lambda *_: False)


KILLED = """
import os, sys
from pathlib import Path
from napari_surfseg import files
files._exchange = lambda *_: False
target, renames = Path(sys.argv[1]), int(sys.argv[2])
real = Path.rename
def rename(self, other):
    global renames
    if renames == 0:
        os._exit(9)
    renames -= 1
    return real(self, other)
Path.rename = rename
with files.written_aside(target) as temporary:
    temporary.mkdir()
    (temporary / "part").write_text("new")
"""


@pytest.mark.parametrize(
    ("renames", "holds"), [(0, "old"), (1, "old"), (2, "new")], ids=["none", "one", "both"]
)
def test_a_folder_survives_a_kill_between_its_renames(tmp_path, renames, holds):
    target = tmp_path / "result"
    target.mkdir()
    (target / "part").write_text("old")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(target), str(renames)], check=False, timeout=60
    )
    assert ended.returncode == 9
    restore_interrupted(target)
    assert read(target) == holds
    with written_aside(target) as temporary:  # and the next writer finds nothing in its way
        temporary.mkdir()
        (temporary / "part").write_text("newer")
    assert read(target) == "newer"


def test_the_old_folder_comes_back_where_the_new_one_is_lost(tmp_path):
    (tmp_path / ".result.12345678.old").mkdir()
    assert restore_interrupted(tmp_path / "result")
    assert (tmp_path / "result").is_dir()
    assert not restore_interrupted(tmp_path / "result")
    assert not restore_interrupted(tmp_path / "other")


def test_a_folder_is_replaced_without_an_exchange(tmp_path, without_exchange):
    target = tmp_path / "result"
    for text in ("old", "new"):
        with written_aside(target) as temporary:
            temporary.mkdir()
            (temporary / "part").write_text(text)
    assert read(target) == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform != "linux", reason="which system exchanges names")
def test_a_folder_is_exchanged_in_one_step(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.mkdir()
        (path / "part").write_text(path.name)
    assert files._exchange(one, other)
    assert (read(one), read(other)) == ("other", "one")


class HeldOpen:
    """Refuses as Windows does while another program holds a file open, so many times."""

    def __init__(self, monkeypatch, times):
        self.times = times
        monkeypatch.setattr(files, "RETRY_SECONDS", (0.0, 0.0, 0.0))
        for name in ("replace", "rename", "unlink"):
            monkeypatch.setattr(Path, name, self._refusing(getattr(Path, name)))

    def _refusing(self, real):
        def act(path, *args, **kwargs):
            if path.exists() and self.times > 0:
                self.times -= 1
                error = PermissionError(errno.EACCES, "The process cannot access the file")
                error.winerror = 32
                raise error
            return real(path, *args, **kwargs)

        return act


def test_a_file_held_open_for_a_moment_is_replaced(tmp_path, fill, monkeypatch):
    target = tmp_path / "result"
    fill(target, "old")
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    held = HeldOpen(monkeypatch, 2)
    with written_aside(target) as temporary:
        fill(temporary, "new")
    assert held.times == 0
    assert read(target) == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_held_open_for_long_stays_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / "best.json"
    target.write_text("old")
    HeldOpen(monkeypatch, 4)  # as often as the replacement is tried
    with (
        pytest.raises(OutputError, match="could not be written"),
        written_aside(target) as temporary,
    ):
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_removing_a_file_that_is_held_open_is_no_error(tmp_path, monkeypatch):
    path = tmp_path / "preview.npy"
    path.write_text("")
    held = HeldOpen(monkeypatch, 100)
    assert not remove_file(path)
    held.times = 2
    assert remove_file(path)
    assert remove_file(path), "what is not there is gone"


def test_what_a_killed_writer_left_is_removed(tmp_path):
    keep = tmp_path / "last.pt"
    keep.touch()
    (tmp_path / ".last.pt.12345678.partial").touch()
    (tmp_path / ".out.zarr.12345678.partial").mkdir()
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [keep]
    remove_leftovers(tmp_path / "gone")


def test_a_guarded_folder_is_not_written_to_once_it_is_lost(tmp_path):
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    for folder in (run, elsewhere):
        folder.mkdir()
    lost = []

    def check():
        if lost:
            raise RunError("lost")

    def lose_while_writing():
        with written_aside(run / "a") as temporary:
            temporary.touch()
            lost.append(True)

    with guarded(run, check):
        with written_aside(run / "a") as temporary:
            temporary.write_text("ours")
        with pytest.raises(RunError, match="lost"):
            lose_while_writing()
        with pytest.raises(RunError, match="lost"):
            remove_file(run / "a")
        with written_aside(elsewhere / "a") as temporary:
            temporary.touch()
    assert (run / "a").read_text() == "ours"
    assert list(run.iterdir()) == [run / "a"]
    with written_aside(run / "a") as temporary:
        temporary.touch()
