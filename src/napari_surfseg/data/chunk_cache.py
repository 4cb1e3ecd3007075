"""Chunks that came over the network, kept on disk: the least recently used go first.

Any number of processes may share the folder: a file appears whole under its name, one that
another process removed was not there, and whoever writes much looks now and then at what all of
them have written together.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChunkCache"]

#: Share of the bound that is written before a process looks at the whole folder again.
CHECKED_SHARE = 0.05
#: Share of the bound that is left once chunks were removed.
LEFT_SHARE = 0.9
#: How exactly it is known when a chunk was last used; a change of its time costs a write.
USED_SECONDS = 60.0
#: Files whose writer was killed are removed after this.
ABANDONED_SECONDS = 3600.0


class ChunkCache:
    """A folder of bytes by name, bounded in bytes.

    Parameters
    ----------
    folder : Path
        Made when something is kept.
    max_bytes : int
        Bound for all processes together, give or take what they write between two looks at it;
        0 keeps nothing.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._written: int | None = None  # since the last look; None before the first

    def read(self, name: str) -> bytes | None:
        """Read what is kept under a name; None where nothing is, or it is damaged."""
        if not self.max_bytes:
            return None
        path = self._path(name)
        try:
            data = path.read_bytes()
            if time.time() - path.stat().st_mtime > USED_SECONDS:
                os.utime(path)
        except OSError:
            return None
        body = data[hashlib.blake2b().digest_size :]
        return body if data[: -len(body) or None] == hashlib.blake2b(body).digest() else None

    def keep(self, name: str, data: bytes) -> None:
        """Keep bytes under a name, whole or not at all; a disk that is full keeps nothing."""
        if len(data) > self.max_bytes * LEFT_SHARE:
            return
        path = self._path(name)
        aside = path.with_name(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(hashlib.blake2b(data).digest() + data)
            aside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()
            return
        with self._lock:
            is_due = self._written is None or (
                self._written + len(data) > CHECKED_SHARE * self.max_bytes
            )
            self._written = 0 if is_due else (self._written or 0) + len(data)
        if is_due:
            self.remove_oldest()

    def remove_oldest(self) -> None:
        """Remove what was used longest ago, until the bound is kept again."""
        found = sorted(self._list())
        excess = sum(size for _, size, _ in found)
        if excess <= self.max_bytes:
            return
        excess -= int(self.max_bytes * LEFT_SHARE)
        for _, size, path in found:
            if excess <= 0:
                return
            with contextlib.suppress(OSError):  # another process was faster, or reads it
                Path(path).unlink()
            excess -= size

    def _list(self) -> Iterator[tuple[float, int, str]]:
        """List when each file was last used, its bytes and its path."""
        now = time.time()
        try:
            folders = list(os.scandir(self.folder))
        except OSError:
            return
        for folder in folders:
            try:
                entries = list(os.scandir(folder.path))
            except OSError:
                continue
            for entry in entries:
                with contextlib.suppress(OSError):
                    about = entry.stat()
                    is_old = now - about.st_mtime > ABANDONED_SECONDS
                    if entry.name.startswith(".") and is_old:
                        Path(entry.path).unlink()
                        continue
                    yield about.st_mtime, about.st_size, entry.path

    def _path(self, name: str) -> Path:
        digest = hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
        return self.folder / digest[:2] / digest[2:]
