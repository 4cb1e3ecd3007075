"""Files below a URL, read with patience: what fails for a moment is asked for again.

::

    http, https            aiohttp; a query stays behind the path: …/a.zarr?token=x
    s3, gs, az             obstore, anonymously where no credentials are found
    anything else          fsspec: memory://, simplecache::s3://…, zip://…::https://…

A server that answers 503, closes the connection, sends less than it said or falls silent is asked
again, after pauses that double; one that says that there is no such file is believed.
"""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import importlib.util
import os
import random
import urllib.request
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import platformdirs

from napari_surfseg.data.chunk_cache import ChunkCache

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHUNK_CACHE", "Part", "RemoteError", "RemoteFiles", "open_files"]

#: Part of a file: first byte, and the one behind the last; from the end where the first is
#: negative; None for the end.
Part = tuple[int, int | None]

#: Seconds without a byte after which an answer counts as stalled, and until one must begin.
STALL_SECONDS, CONNECT_SECONDS = 20.0, 10.0
#: Seconds for a whole answer where what is under way cannot be seen.
WHOLE_SECONDS = 120.0
#: Pauses before a file is asked for again, some 16 s in all; each is varied by half.
PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: Files that are asked for at once.
AT_ONCE = 32
#: Answers that will not be better the next time.
FINAL_STATUS = frozenset(range(400, 500)) - {408, 423, 425, 429}
MISSING_STATUS = frozenset({404, 410})
#: Kinds of URL that obstore reads.
OBJECT_STORES = ("s3", "s3a", "gs", "az", "abfs", "abfss", "azure")
#: Where credentials come from that obstore finds by itself.
FOUND_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
GOOGLE_CREDENTIALS = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT")

#: What came over the network; the bound is a setting of the run.
CHUNK_CACHE = ChunkCache(
    platformdirs.user_cache_path("napari-surfseg", appauthor=False) / "chunks", 10 * 2**30
)


class RemoteError(OSError):
    """A file that could not be read although it was asked for several times, or is refused."""


class _FinalError(Exception):
    """An answer that will not be better the next time."""


class RemoteFiles(ABC):
    """The files below a URL.

    Its coroutines all run in one event loop, zarr's.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._slots: asyncio.Semaphore | None = None
        #: Times that a file was asked for again.
        self.num_retries = 0

    async def read(self, key: str, part: Part | None = None) -> bytes | None:
        """Read a file, or a part of it; None where there is no such file.

        Raises
        ------
        RemoteError
            If it cannot be read.
        """
        if self._slots is None:
            self._slots = asyncio.Semaphore(AT_ONCE)
        async with self._slots:
            for pause in (*PAUSES, None):
                try:
                    return await asyncio.wait_for(self._read_once(key, part), WHOLE_SECONDS)
                except _FinalError as error:
                    raise RemoteError(f"the server of {self.url} says: {error}") from None
                except Exception as error:
                    # Every kind of server and library has exceptions of its own.
                    if pause is None:
                        raise RemoteError(
                            f"asked {len(PAUSES) + 1} times, the last answer was: "
                            f"{describe_failure(error)}"
                        ) from error
                self.num_retries += 1
                await asyncio.sleep(pause * (0.75 + 0.5 * random.random()))  # noqa: S311
        raise AssertionError

    @abstractmethod
    async def _read_once(self, key: str, part: Part | None) -> bytes | None:
        """Ask once; None where there is no such file, :class:`_FinalError` where it is refused."""


def open_files(url: str) -> RemoteFiles:
    """Open what is below a URL; nothing is asked for yet.

    Raises
    ------
    ImportError
        If this kind of URL needs a package that is not installed.
    """
    kind = urlsplit(url).scheme
    if "::" not in url:
        if kind in ("http", "https"):
            return _HttpFiles(url)
        if kind in OBJECT_STORES and importlib.util.find_spec("obstore") is not None:
            return _ObjectFiles(url)
    return _FsspecFiles(url)


class _HttpFiles(RemoteFiles):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        import aiohttp
        import yarl

        self._aiohttp, self._yarl = aiohttp, yarl
        self._parts = urlsplit(url)
        self._session: Any = None

    def address(self, key: str) -> str:
        """Give the URL of a file: the query of the base stays behind its path."""
        path = f"{self._parts.path.rstrip('/')}/{key}" if key else self._parts.path
        return urlunsplit(self._parts._replace(path=path))

    async def _read_once(self, key: str, part: Part | None) -> bytes | None:
        if self._session is None:
            timeout = self._aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS
            )
            self._session = self._aiohttp.ClientSession(timeout=timeout, trust_env=True)
            loop = asyncio.get_running_loop()
            weakref.finalize(self, _close_session, self._session, loop)
        headers = {} if part is None else {"Range": f"bytes={describe_part(part)}"}
        # As it was given: a signature in a query holds for its very letters.
        address = self._yarl.URL(self.address(key), encoded=True)
        async with self._session.get(address, headers=headers) as answer:
            if answer.status in MISSING_STATUS:
                return None
            if answer.status in FINAL_STATUS:
                raise _FinalError(f"{answer.status} {answer.reason}")
            answer.raise_for_status()
            data: bytes = await answer.read()
        # A server that knows no ranges sends everything.
        return data if part is None or answer.status == 206 else data[slice(*part)]


def _close_session(session: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Close the connections once nobody reads any more, or the process ends."""
    if not loop.is_running():
        return
    closing = asyncio.run_coroutine_threadsafe(session.close(), loop)
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # not called by a coroutine, which could not wait for another
        with contextlib.suppress(TimeoutError):
            closing.result(1)


class _ObjectFiles(RemoteFiles):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        import obstore
        from obstore.exceptions import (
            NotFoundError,
            PermissionDeniedError,
            UnauthenticatedError,
        )
        from obstore.store import from_url

        self._obstore = obstore
        self._missing = (FileNotFoundError, NotFoundError)
        self._refused = (PermissionDeniedError, UnauthenticatedError)
        self._store = from_url(
            url,
            config=find_object_settings(url),
            client_options={
                "timeout": f"{WHOLE_SECONDS:g}s",
                "connect_timeout": f"{CONNECT_SECONDS:g}s",
                "allow_http": True,
            },
            retry_config={"max_retries": 0},
        )

    async def _read_once(self, key: str, part: Part | None) -> bytes | None:
        try:
            if part is None:
                found = await self._obstore.get_async(self._store, key)
            else:
                first, last = part
                wanted: Any = {"suffix": -first} if first < 0 else {"offset": first}
                if last is not None:
                    wanted = (first, last)
                found = await self._obstore.get_async(self._store, key, options={"range": wanted})
            return bytes(await found.bytes_async())
        except self._missing:
            return None
        except self._refused as error:
            raise _FinalError(describe_failure(error)) from error


class _FsspecFiles(RemoteFiles):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._fs, self._root = open_filesystem(url)

    async def _read_once(self, key: str, part: Part | None) -> bytes | None:
        place = f"{self._root.rstrip('/')}/{key}" if key else self._root
        first, last = (None, None) if part is None else part
        try:
            found: bytes = await asyncio.to_thread(self._fs.cat_file, place, first, last)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, KeyError):
            return None
        except PermissionError as error:
            raise _FinalError(describe_failure(error)) from error
        return found


def open_filesystem(url: str) -> tuple[Any, str]:
    """Open a URL with fsspec, what lies in buckets through obstore; the path in it comes along."""
    import fsspec  # type: ignore[import-untyped]

    options: dict[str, Any] = {}
    names = [part.partition("://")[0] for part in url.split("::")]
    for name in names:
        is_bucket = name in OBJECT_STORES and importlib.util.find_spec("obstore") is not None
        if not is_bucket:
            continue
        from obstore.fsspec import register

        register(name)
        inner = next(part for part in url.split("::") if part.startswith(f"{name}://"))
        given = {"config": find_object_settings(inner), "client_options": {"allow_http": True}}
        options |= given if len(names) == 1 else {name: given}
    found: tuple[Any, str] = fsspec.url_to_fs(url, **options)
    return found


def find_object_settings(url: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Find how a bucket is read: with the credentials that there are, else anonymously.

    Parameters
    ----------
    url : str
        Of something in it.
    environment : mapping, optional
        By default this process's; ``~/.aws/credentials`` and ``config`` are looked at as well.
    """
    known = os.environ if environment is None else environment
    parts = urlsplit(url)
    if parts.scheme == "gs":
        return {} if any(map(known.get, GOOGLE_CREDENTIALS)) else {"skip_signature": True}
    if parts.scheme not in ("s3", "s3a"):
        return {} if known.get("AZURE_STORAGE_ACCOUNT_KEY") else {"skip_signature": True}
    profile = _read_profile(known)
    settings: dict[str, Any] = {}
    if not any(map(known.get, FOUND_CREDENTIALS)):
        keys = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        settings = {key: profile[key] for key in keys if key in profile}
        if not settings:
            settings["skip_signature"] = True
    endpoint = known.get("AWS_ENDPOINT_URL_S3") or known.get("AWS_ENDPOINT_URL")
    endpoint = endpoint or profile.get("endpoint_url")
    if endpoint:
        settings["endpoint"] = endpoint
    region = known.get("AWS_REGION") or known.get("AWS_DEFAULT_REGION") or profile.get("region")
    if not region:
        region = "us-east-1" if endpoint else _ask_region(parts.netloc)
    settings["region"] = region
    return settings


def _read_profile(known: Mapping[str, str]) -> dict[str, str]:
    """Read what AWS's own files say of the profile in use."""
    name = known.get("AWS_PROFILE") or "default"
    folder = Path(known.get("HOME") or "~").expanduser() / ".aws"
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(known.get(variable) or folder / file, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        if parser.has_section(section):
            found |= dict(parser.items(section))
    return found


def _ask_region(bucket: str) -> str:
    """Ask in which region a bucket lies, which anybody may."""
    request = urllib.request.Request(f"https://{bucket}.s3.amazonaws.com", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_SECONDS) as answer:  # noqa: S310
            region = answer.headers.get("x-amz-bucket-region")
    except urllib.error.HTTPError as error:  # it says so even where it refuses everything else
        region = error.headers.get("x-amz-bucket-region")
    except OSError:
        region = None
    return region or "us-east-1"


def describe_part(part: Part) -> str:
    """Write a part of a file as HTTP has it."""
    first, last = part
    if first < 0:
        return str(first)
    return f"{first}-{'' if last is None else last - 1}"


def describe_failure(error: BaseException) -> str:
    """Say in a few words what went wrong."""
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "nothing came for too long"
    status = getattr(error, "status", None)
    text = f"{status} {getattr(error, 'message', '')}" if status else str(error)
    return " ".join(text.split()).rstrip(".")[:120] or type(error).__name__
