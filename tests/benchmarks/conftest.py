"""The benchmarks are scripts: their folders are on the path while they are tested."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    if not BENCHMARKS.is_dir():
        pytest.skip("The benchmarks are not beside the tests.")
    for folder in (BENCHMARKS, BENCHMARKS / "baselines"):
        monkeypatch.syspath_prepend(folder)
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
