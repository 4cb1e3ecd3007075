"""What a process takes, and what there is for it: on the machine, in a container, on a GPU."""

import mmap
import os
import stat
import sys
from pathlib import Path, PurePosixPath

import psutil
import pytest

from napari_surfseg import process_memory
from napari_surfseg.process_memory import (
    GpuMemory,
    find_free_memory,
    find_gpu_memory,
    measure_memory,
    measure_peak,
)


def test_the_peak_stays_when_memory_is_given_back():
    before = measure_memory()
    # Pages of its own: an array may get what other tests have freed.
    with mmap.mmap(-1, 2**28) as large:
        for start in range(0, 2**28, mmap.PAGESIZE):
            large[start] = 1
        during = measure_memory()
    assert during - before > 2**27
    assert measure_peak() >= during - 2**22


#: For each version: where the process is, the bound, what is taken, and files nobody used lately.
VERSIONS = {
    1: ("4:memory:/job", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("0::/job", "memory.max", "memory.current", "inactive_file"),
}


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Put this process into groups with bounds; None is a group without one."""

    def make(version, outer, inner):
        own, most, taken, unused = VERSIONS[version]
        (tmp_path / "own").write_text(f"1:cpu:/job\n{own}\n")
        for place, bound in (("", outer), ("job", inner)):
            folder = tmp_path / place
            folder.mkdir(exist_ok=True)
            (folder / most).write_text("max\n" if bound is None else f"{bound}\n")
            (folder / taken).write_text("300\n")
            (folder / "memory.stat").write_text(f"anon 200\n{unused} 100\n")
        kinds = [
            process_memory._GroupKind(
                kind.controller, tmp_path, kind.most, kind.taken, kind.unused_files
            )
            for kind in process_memory.GROUP_KINDS
        ]
        monkeypatch.setattr(process_memory, "GROUP_KINDS", kinds)
        monkeypatch.setattr(process_memory, "OWN_GROUP", tmp_path / "own")

    return make


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such groups")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("outer", "inner", "room"),
    [(None, None, None), (1000, None, 800), (None, 900, 700), (1000, 900, 700), (500, 900, 300)],
)
def test_a_bound_on_the_processes_of_a_job_counts(groups, version, outer, inner, room):
    groups(version, outer, inner)
    if room is None:
        assert find_free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    else:
        assert find_free_memory() == room


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such groups")
def test_damaged_files_of_a_group_say_nothing(groups, tmp_path):
    groups(2, 1000, None)
    (tmp_path / "memory.current").write_text("\n")
    assert process_memory._find_group_room() == []
    assert process_memory.GROUP_KINDS[0].find_room(PurePosixPath("none")) is None
    (tmp_path / "own").unlink()
    assert process_memory._find_group_room() == []


LISTED = "GPU-1a, 40000, NVIDIA A100\nGPU-2b, 512, NVIDIA T4, small\n"
A100 = GpuMemory("NVIDIA A100", 40000 << 20)
T4 = GpuMemory("NVIDIA T4, small", 512 << 20)


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Put a driver's command on the path that prints a text."""

    def make(text, code=0):
        command = tmp_path / "nvidia-smi"
        command.write_text(f"#!{sys.executable}\nprint({text!r})\nraise SystemExit({code})\n")
        command.chmod(command.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}")

    return make


@pytest.mark.skipif(os.name == "nt", reason="the command is a script")
@pytest.mark.parametrize(
    ("visible", "gpu"),
    [
        (None, A100),
        ("0", A100),
        ("1,0", T4),
        ("GPU-2", T4),
        ("", None),
        ("-1", None),
        ("7", None),
        ("GPU-3", None),
    ],
)
def test_the_gpu_is_the_one_that_torch_would_take(driver, monkeypatch, visible, gpu):
    driver(LISTED)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_gpu_memory() == gpu


@pytest.mark.skipif(os.name == "nt", reason="the command is a script")
@pytest.mark.parametrize(
    ("text", "code"), [("No devices were found", 0), ("", 0), ("GPU-1, [N/A], x", 0), (LISTED, 9)]
)
def test_a_driver_that_knows_no_gpu(driver, monkeypatch, text, code):
    driver(text, code)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert find_gpu_memory() is None


def test_no_driver(monkeypatch):
    monkeypatch.setattr(process_memory, "QUERY", ("no such command",))
    assert find_gpu_memory() is None
