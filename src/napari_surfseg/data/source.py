"""What names a volume: a path or URL, and for an array inside a container ``PATH::KEY``.

A URL may have several parts of its own, as fsspec has them, and a query::

    simplecache::s3://bucket/a.zarr::labels/0     location up to a.zarr, key labels/0
    zip://a.zarr::https://host/a.zip?token=x      all of it is the location
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["Source", "parse_source"]


#: Schemes of what lies in an archive, which is named next.
ARCHIVES = ("zip", "tar", "libarchive")


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
    is_kept : bool
        Whether what is read of a URL may be kept on disk for the next run.
    """

    text: str
    location: str
    key: str = ""
    is_kept: bool = True

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
        place = self.location.replace("\\", "/")
        if self.is_remote:
            named = (urlsplit(part) for part in place.split("::") if "://" in part)
            place = next(filter(None, (f"{part.netloc}{part.path}" for part in named)), place)
        name = place.rstrip("/").rpartition("/")[2] or self.location
        return f"{name}::{self.key}" if self.key else name


def parse_source(text: str) -> Source:
    """Split ``PATH::KEY`` into path and key."""
    if "::" in text and "://" not in text and Path(text).exists():
        return Source(text, text)  # the characters belong to the file's name
    parts = text.split("::")
    # What stands before the last part with a scheme belongs to the URL.
    last = max((i for i, part in enumerate(parts) if "://" in part), default=0)
    if parts[last].partition("://")[0].lower() in ARCHIVES and last + 1 < len(parts):
        last += 1  # the archive itself is a local file
    location, key = "::".join(parts[: last + 1]), "::".join(parts[last + 1 :])
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
