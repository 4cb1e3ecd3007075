"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["explain_write_error", "written_aside"]


@contextlib.contextmanager
def written_aside(path: str | Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Write a file or folder beside its place, and rename it when it is complete.

    ::

        with written_aside("mesh.ply") as temporary:
            temporary.write_bytes(...)

    Whatever ends the block early (an error, Ctrl-C, a full disk) removes the
    temporary and leaves an existing ``path`` as it was.

    Parameters
    ----------
    path : str or Path
        Where the result belongs; its folder must exist.
    overwrite : bool
        Replace what is there, file or folder.

    Yields
    ------
    Path
        A path in the same folder, at which the block makes a file or a folder.

    Raises
    ------
    OutputError
        If ``path`` exists and may not be replaced, or writing fails.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        if not overwrite and path.exists():
            raise OutputError(f"{path} exists already; it is replaced only with overwrite.")
        _put_in_place(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise explain_write_error(path, error) from error
    except BaseException:
        _remove(temporary)
        raise


def explain_write_error(path: str | Path, error: OSError) -> OutputError:
    """Put a failed write into a sentence."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return OutputError(
            f"The disk is full: {path} could not be written and nothing was left behind; "
            "free some space or choose another folder."
        )
    cause = error.strerror or str(error) or type(error).__name__
    return OutputError(f"{path} could not be written: {cause}.")


def _put_in_place(temporary: Path, path: Path) -> None:
    if not (path.is_dir() and not path.is_symlink()):
        _flush(temporary)
        temporary.replace(path)
        return
    # A folder cannot be replaced in one step: move the old one away, and back if that fails.
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
    path.replace(old)
    try:
        temporary.replace(path)
    except OSError:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(temporary: Path) -> None:
    """Ask for the bytes on the disk before the name: a power cut must not leave an empty file."""
    if temporary.is_file():
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
