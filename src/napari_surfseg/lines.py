"""Files that only grow, line by line: one or several programs append, others follow.

Half a line, of a program that is writing or was killed, is never taken for a line.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PIECE_BYTES", "LineReader", "append_line", "iterate_lines"]

#: Read at once from a file that may be long.
PIECE_BYTES = 1 << 22


class LineReader:
    """Follow a growing file of whole lines.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.
    offset : int
        Byte to start at.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset

    def read_lines(self, max_bytes: int | None = None) -> list[bytes]:
        """Return the whole lines added since the last call; a half-written one waits.

        With ``max_bytes`` at most about so much is read; the rest comes next time.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(0, 2)
                if file.tell() < self.offset:
                    self.offset = 0  # the file was replaced by a shorter one
                file.seek(self.offset)
                data = file.read(max_bytes)
                if max_bytes is not None and len(data) == max_bytes:
                    data += file.readline()  # never less than a line, or it would stay stuck
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.offset += end
        return data[:end].splitlines()


def iterate_lines(path: Path, *, max_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """Yield the whole lines of a file, of which only a piece is in memory at a time."""
    reader = LineReader(path)
    while lines := reader.read_lines(max_bytes):
        yield from lines


def append_line(path: Path, line: bytes) -> None:
    """Append a line, which ends in a line feed, to a file that several programs may write.

    One write call to a file opened for appending: two writers cannot tear each
    other's lines. A half line of a program that was killed, or that a full disk
    cut short, is ended first.

    Raises
    ------
    OSError
        If the disk does not take it.
    """
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, 2):
            file.seek(-1, 2)
            line = line if file.read(1) == b"\n" else b"\n" + line
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
