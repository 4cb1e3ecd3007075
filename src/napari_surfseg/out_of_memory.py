"""Memory that ran out: how the different machines say so, and how memory is made free again.

torch has one exception class for GPUs, none for the CPU, and passes on what the libraries below it
say; numpy and the system have their own. Nothing here imports torch, so that the window and the
run folder can ask as well.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import sys
import traceback
from typing import TYPE_CHECKING

from napari_surfseg.errors import DeviceMemoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["free_memory", "is_out_of_memory", "when_out_of_memory"]

#: In the text of a ``RuntimeError``: CUDA, HIP, XPU and MPS; torch's allocator on Linux and macOS,
#: and on Windows; cuDNN, cuBLAS and cuFFT; C++.
WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "_alloc_failed",
    "bad_alloc",
    "bad allocation",
)
#: What torch says of a process of a data loader that the system killed, as it does for memory.
LOST_PROCESS = ("exited unexpectedly", "is killed by signal: killed")
#: Windows: not enough memory resources, not enough storage, and a paging file that is too small.
WINDOWS_ERRORS = (8, 14, 1455)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or off it."""
    if isinstance(error, (MemoryError, DeviceMemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) in WINDOWS_ERRORS
    if type(error).__name__ == "OutOfMemoryError":
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    if "dataloader worker" in text:
        return any(words in text for words in LOST_PROCESS)
    return any(words in text for words in WORDS)


def free_memory() -> None:
    """Give back what nobody uses any more.

    To be called outside the handler of an error, whose traceback keeps alive what the failed call
    had made.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def when_out_of_memory(react: Callable[[], None]) -> Iterator[None]:
    """Do something else where memory runs out; it is made free first. Other errors pass."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        # The error lives until the `with` is left, and what its frames hold with it.
        _forget_frames(error)
    else:
        return
    free_memory()
    react()


def _forget_frames(error: BaseException | None) -> None:
    """Drop what the failed calls had made, also those of the errors that led to this one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
