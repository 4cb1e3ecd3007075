"""Files and folders that appear whole or not at all.

A file is replaced in one step. So is a folder where the system can exchange two names
(Linux, macOS). Elsewhere it takes two renames, and a process killed between them leaves both
folders under hidden names; :func:`restore_interrupted` puts the newer complete one in its place.

Windows refuses to replace or remove a file that another program holds open, a viewer or a virus
scanner for example, mostly for an instant: such a refusal is met by trying again for a while.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from napari_surfseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "explain_write_error",
    "guarded",
    "remove_file",
    "remove_leftovers",
    "remove_partial",
    "restore_interrupted",
    "retry_while_open",
    "written_aside",
]

#: A file that another program holds open is asked for again after these, 1.6 s in all: a scanner
#: or a reader lets go within milliseconds, and a training step should not wait for the others.
RETRY_SECONDS = (0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8)
#: What the system calls an exchange of two names: renameat2 of Linux, renamex_np of macOS.
AT_FDCWD, RENAME_EXCHANGE, RENAME_SWAP = -100, 2, 2

_Result = TypeVar("_Result")
_guards: dict[Path, Callable[[], None]] = {}


@contextlib.contextmanager
def guarded(folder: Path, check: Callable[[], None]) -> Iterator[None]:
    """Ask ``check`` before anything below ``folder`` is written by this module.

    A worker may lose its run folder to another one. Whatever it would write next, by whichever
    way, must then not happen: ``check`` raises.
    """
    folder = folder.resolve()
    _guards[folder] = check
    try:
        yield
    finally:
        _guards.pop(folder, None)


def _check_guards(path: Path) -> None:
    if _guards:
        place = path.resolve()
        for folder, check in list(_guards.items()):
            if place.is_relative_to(folder):
                check()


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
    _check_guards(path)
    restore_interrupted(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield temporary
        _check_guards(path)
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


def retry_while_open(action: Callable[[], _Result]) -> _Result:
    """Do what Windows refuses while another program holds the file open, trying for a while.

    Raises
    ------
    OSError
        As ``action`` raised it, a ``PermissionError`` only after :data:`RETRY_SECONDS`.
    """
    for seconds in RETRY_SECONDS:
        try:
            return action()
        except PermissionError:
            time.sleep(seconds)
    return action()


def remove_file(path: Path) -> bool:
    """Remove a file that is no longer needed; return whether it is gone.

    One that stays, because another program holds it open or the folder was turned read-only, is
    no reason to stop anything.
    """
    _check_guards(path)
    try:
        retry_while_open(lambda: path.unlink(missing_ok=True))
    except OSError:
        return False
    return True


def restore_interrupted(path: Path) -> bool:
    """Put back a folder whose replacement was interrupted between its two renames.

    Returns
    -------
    bool
        Whether something was put in place: the new folder, which was complete, or else the old.
    """
    try:
        if path.exists() or not path.parent.is_dir():
            return False
        beside = [item for item in path.parent.iterdir() if item.name.startswith(f".{path.name}.")]
        for suffix in (".complete", ".old"):
            for found in beside:
                if found.suffix == suffix:
                    found.rename(path)
                    for rest in beside:
                        if rest.suffix == ".old" and rest != found:
                            shutil.rmtree(rest, ignore_errors=True)
                    return True
    except OSError:  # another process was first, or nothing may be changed here
        return False
    return False


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in a folder that nobody else writes to."""
    with contextlib.suppress(OSError):
        for item in folder.iterdir():
            if item.name.startswith(".") and item.suffix == ".partial":
                _remove(item)


def remove_partial(path: Path) -> None:
    """Remove what killed processes left half-written of one file or folder."""
    with contextlib.suppress(OSError):
        for item in path.parent.iterdir():
            if item.name.startswith(f".{path.name}.") and item.suffix == ".partial":
                _remove(item)


def _put_in_place(temporary: Path, path: Path) -> None:
    if not (path.is_dir() and not path.is_symlink()):
        _flush(temporary)
        retry_while_open(lambda: temporary.replace(path))
        return
    if _exchange(temporary, path):
        _remove(temporary)
        return
    # Two renames: the names say which folder is whole, should the process be killed between them.
    stem = f".{path.name}.{uuid.uuid4().hex[:8]}"
    complete, old = path.with_name(f"{stem}.complete"), path.with_name(f"{stem}.old")
    retry_while_open(lambda: temporary.rename(complete))
    try:
        retry_while_open(lambda: path.rename(old))
        try:
            retry_while_open(lambda: complete.rename(path))
        except OSError:
            if path.exists():  # a reader found it missing and restored it meanwhile
                return
            old.rename(path)
            raise
    except OSError:
        _remove(complete)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the disk cannot."""
    names = os.fsencode(one), os.fsencode(other)
    with contextlib.suppress(OSError, AttributeError):
        if platform.system() == "Linux":
            call = ctypes.CDLL(None).renameat2
            return bool(call(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0)
        if platform.system() == "Darwin":
            return bool(ctypes.CDLL(None).renamex_np(*names, RENAME_SWAP) == 0)
    return False


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
