"""What names a volume: a path or URL, and for an array inside a container ``PATH::KEY``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["Source", "parse_source"]


@dataclass(frozen=True)
class Source:
    """Where a volume lies.

    Attributes
    ----------
    text : str
        As given; what sentences call it.
    location : str
        Path or URL of the file or folder.
    key : str
        Array inside it; empty where none is named.
    """

    text: str
    location: str
    key: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether it is a URL."""
        return "://" in self.location

    @property
    def path(self) -> Path:
        """The location as a local path."""
        return Path(self.location).expanduser()

    @property
    def name(self) -> str:
        """Short name for tables and logs: the last part of the location, and the key."""
        name = self.location.replace("\\", "/").rstrip("/").rpartition("/")[2] or self.location
        return f"{name}::{self.key}" if self.key else name


def parse_source(text: str) -> Source:
    """Split ``PATH::KEY`` into path and key."""
    if "::" in text and "://" not in text and Path(text).exists():
        return Source(text, text)  # the characters belong to the file's name
    location, _, key = text.partition("::")
    if location.lower().startswith("file:"):
        location = _take_file_url(location)
    return Source(text, location, key.strip("/"))


def _take_file_url(url: str) -> str:
    """Return the path that a ``file:`` URL means: ``file:///C:/a%20b.tif`` is ``C:/a b.tif``."""
    parts = urlsplit(url)
    host = parts.netloc if parts.netloc.lower() != "localhost" else ""
    # What a URL calls query and fragment are letters of a file's name.
    path = url2pathname(url.partition(":")[2].removeprefix(f"//{parts.netloc}"))
    return f"//{host}{path}" if host else path
