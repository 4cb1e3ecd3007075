"""How much memory this process takes, and how much there is for it, on a GPU as well.

Nothing here imports torch: the window asks as well.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

__all__ = ["GpuMemory", "find_free_memory", "find_gpu_memory", "measure_memory", "measure_peak"]

#: What NVIDIA's driver brings along. Asking it takes no memory of the GPU, as asking torch does.
QUERY = ("nvidia-smi", "--query-gpu=uuid,memory.free,name", "--format=csv,noheader,nounits")
QUERY_SECONDS = 10

OWN_GROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class GpuMemory:
    """The memory that is free on a GPU, in bytes, and the GPU's name."""

    name: str
    free_bytes: int


@dataclass(frozen=True)
class _GroupKind:
    """Where one of the two versions of Linux's control groups says what its bounds are."""

    controller: str
    root: Path
    most: str
    taken: str
    unused_files: str

    def find_room(self, group: PurePosixPath) -> int | None:
        """Find what is left of the bound on a group; None where it has none."""
        folder = self.root / group
        try:
            most = int((folder / self.most).read_text(encoding="utf-8"))  # or "max"
            taken = int((folder / self.taken).read_text(encoding="utf-8"))
            rows = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
            counts = dict(row.split() for row in rows)
            # Pages of files that nobody used lately are given up for whoever needs memory.
            return max(0, most - taken + int(counts.get(self.unused_files, 0)))
        except (OSError, ValueError):
            return None


GROUP_KINDS = (
    _GroupKind("", Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    _GroupKind(
        "memory",
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def measure_memory() -> int:
    """Return the bytes of this process that lie in memory now."""
    return int(psutil.Process().memory_info().rss)


def measure_peak() -> int:
    """Return the most bytes of this process that ever lay in memory at once."""
    if sys.platform == "linux":
        # Not ru_maxrss, which begins with what the parent process took.
        with contextlib.suppress(OSError, ValueError, StopIteration):
            status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            line = next(line for line in status if line.startswith("VmHWM:"))
            return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def find_free_memory() -> int:
    """Return the bytes this process may still take.

    In a container, or a job of a cluster, that is less than what the machine has free.
    """
    free = int(psutil.virtual_memory().available)
    return free if sys.platform != "linux" else min([free, *_find_group_room()])


def find_gpu_memory() -> GpuMemory | None:
    """Ask NVIDIA's driver about the GPU that this process would use; None where there is none."""
    try:
        asked = subprocess.run(
            QUERY, capture_output=True, text=True, timeout=QUERY_SECONDS, check=True
        )
        rows = [line.split(",", 2) for line in asked.stdout.splitlines() if line.strip()]
        found = {row[0].strip(): GpuMemory(row[2].strip(), int(row[1]) << 20) for row in rows}
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return next(iter(found.values()), None)
    first = visible.partition(",")[0].strip()
    if first.isdigit():
        return dict(enumerate(found.values())).get(int(first))
    return next((gpu for uuid, gpu in found.items() if first and uuid.startswith(first)), None)


def _find_group_room() -> list[int]:
    """Return what is left of each bound on the groups of processes that this one is in."""
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rooms = []
    for line in lines:
        controllers, _, own = line.partition(":")[2].partition(":")
        for group in GROUP_KINDS:
            if group.controller not in controllers.split(","):
                continue
            place = PurePosixPath(own.lstrip("/"))
            found = [group.find_room(part) for part in (place, *place.parents)]
            rooms += [room for room in found if room is not None]
    return rooms
