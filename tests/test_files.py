"""Files and folders that appear whole or not at all."""

import errno

import pytest

from napari_surfseg.errors import OutputError
from napari_surfseg.files import explain_write_error, written_aside


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
