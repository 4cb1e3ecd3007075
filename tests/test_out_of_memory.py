"""Memory that ran out, as the different machines and libraries say it."""

import errno
import weakref

import numpy as np
import pytest
import torch

from napari_surfseg.errors import DataError, DeviceMemoryError
from napari_surfseg.out_of_memory import free_memory, is_out_of_memory, when_out_of_memory


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own, before and after it was moved."""


def on_windows(number, text):
    error = OSError(0, text)
    error.winerror = number
    return error


OUT_OF_MEMORY = {
    "cuda": torch.cuda.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB"
    ),
    "cuda, another class": OutOfMemoryError("Allocation on device 0 would exceed allowed memory."),
    "cuda, earlier torch": RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    "cuda, the driver": RuntimeError("CUDA error: out of memory"),
    "rocm": RuntimeError("HIP out of memory. Tried to allocate 1.00 GiB"),
    "xpu": RuntimeError("XPU out of memory. Tried to allocate 1.00 GiB"),
    "mps": RuntimeError(
        "MPS backend out of memory (MPS allocated: 17.57 GB, other allocations: 1.40 GB, max "
        "allowed: 18.13 GB). Tried to allocate 256 bytes on private pool."
    ),
    "cublas": RuntimeError(
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    ),
    "cudnn": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "cufft": RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    "cpu": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 1000000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "cpu, windows": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you "
        "tried to allocate 4294967296 bytes."
    ),
    "mapped file": RuntimeError("unable to mmap 4096 bytes from file <x>: Cannot allocate memory"),
    "python": MemoryError(),
    "c++": RuntimeError("std::bad_alloc"),
    "c++, windows": RuntimeError("bad allocation"),
    "system": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "windows, resources": on_windows(8, "Not enough memory resources are available"),
    "windows, storage": on_windows(14, "Not enough storage is available"),
    "windows, paging file": on_windows(1455, "The paging file is too small"),
    "worker process": RuntimeError("DataLoader worker (pid(s) 4711) exited unexpectedly"),
    "worker process, killed": RuntimeError(
        "DataLoader worker (pid 9) is killed by signal: Killed."
    ),
    "ours": DeviceMemoryError("The memory is too small."),
}
OTHERS = {
    "cuda": RuntimeError("CUDA error: device-side assert triggered"),
    "shapes": RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "file": OSError(errno.ENOENT, "out of memory.tif"),
    "data": DataError("The file out of memory.tif is damaged."),
    "value": ValueError("out of memory"),
    "worker process": RuntimeError("Caught ValueError in DataLoader worker process 0."),
    "worker process, crash": RuntimeError(
        "DataLoader worker (pid 9) is killed by signal: Segmentation fault."
    ),
    "interrupt": KeyboardInterrupt(),
}


@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY.keys())
def test_memory_that_ran_out_is_known_however_it_is_said(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS.values(), ids=OTHERS.keys())
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def test_what_torch_and_numpy_raise_here_is_known():
    for allocate in (
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: np.empty(2**60, np.uint8),
    ):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert is_out_of_memory(caught.value)


def test_something_else_is_done_where_memory_runs_out():
    done = []
    with when_out_of_memory(lambda: done.append("instead")):
        done.append("begun")
        raise MemoryError
    with when_out_of_memory(lambda: done.append("not")):
        done.append("whole")
    with pytest.raises(KeyError), when_out_of_memory(lambda: done.append("not")):
        raise KeyError
    assert done == ["begun", "instead", "whole"]


class Tensor:
    """Something large."""


def test_nothing_of_what_failed_is_alive_when_something_else_is_done():
    made = []

    def use_memory():
        large = Tensor()
        made.append(weakref.ref(large))
        raise MemoryError

    def fail():
        large = Tensor()
        made.append(weakref.ref(large))
        try:
            use_memory()
        except MemoryError as error:
            raise DeviceMemoryError("for a window") from error

    found = []
    with when_out_of_memory(lambda: found.extend(ref() for ref in made)):
        fail()
    assert found == [None, None]


def test_memory_is_freed_without_a_gpu_as_well():
    free_memory()
