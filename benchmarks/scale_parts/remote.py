"""Patches of volumes on a server that answers after 50 ms, beside those of a local disk."""

from __future__ import annotations

import functools
import http.server
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.config import Data, Labels
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.chunk_cache import ChunkCache
from napari_surfseg.data.formats import remote_store
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.patches.loader import PatchLoader
from napari_surfseg.data.phantom.sparse import write_sparse_pair

if TYPE_CHECKING:
    from pathlib import Path

LATENCY = 0.05
EDGE = 128


class LateServer(http.server.ThreadingHTTPServer):
    """Serves a folder, each answer after a while; counts the answers."""

    daemon_threads = True
    num_answers = 0


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer after the latency."""
        time.sleep(LATENCY)
        LateServer.num_answers += 1
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def cut_patches(image: str, labels: str, count: int) -> float:
    """Open a pair and cut patches of it; the seconds for these alone."""
    mapping = Labels(foreground=(1,), background=(2,), ignore=(0,))
    data = Data(labels=mapping, patch_size=(64, 64, 64))
    pair = check_volumes(open_volume(image), open_volume(labels), data, role="train")
    intensity = compute_intensity([pair.image], places=[pair.census.list_some(8)])
    cache = VolumeCache(2**26)
    with PatchLoader(
        [pair], data, intensity, batch_size=1, seed=1, workers=1, cache=cache
    ) as loader:
        next(loader)  # compiles
        began = time.perf_counter()
        for _ in range(count):
            next(loader)
        return time.perf_counter() - began


def measure(quick: bool, folder: Path) -> list[str]:
    """Cut the same patches from the disk, from the server, and from what is kept of it."""
    count, extent = (16, 256) if quick else (128, 640)
    # Labels beside the person, the image on the server, as it is with scans of terabytes.
    shape = (extent, extent, extent)
    corners = np.argwhere(np.ones([size // EDGE for size in shape])) * EDGE
    image, labels = write_sparse_pair(folder, shape=shape, corners=corners, edge=EDGE, chunk=64)
    server = LateServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/image.zarr"
    kept = remote_store.CHUNK_CACHE
    remote_store.CHUNK_CACHE = ChunkCache(folder / "kept", 2**30)
    lines = ["| image | patches a second | answers of the server |", "|---|---:|---:|"]
    try:
        rows = (("local disk", str(image)), ("server, first run", url), ("server, next run", url))
        for name, place in rows:
            LateServer.num_answers = 0
            seconds = cut_patches(place, str(labels), count)
            lines.append(f"| {name} | {count / seconds:.1f} | {LateServer.num_answers} |")
    finally:
        remote_store.CHUNK_CACHE = kept
        server.shutdown()
        server.server_close()
        thread.join()
    lines += [
        "",
        f"{count} patches of 64³ of an image of {extent}³, chunks of 64³, each answer after 50 ms, "
        "64 MiB of memory for decoded chunks. Of a server patches are drawn near each other.",
    ]
    return lines
