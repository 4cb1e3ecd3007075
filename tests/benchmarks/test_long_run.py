"""A worker takes no more memory after a thousand steps than after two hundred."""

import os
import subprocess
import sys

import pytest
from tests.benchmarks.conftest import BENCHMARKS


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_memory_of_a_worker_is_flat():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "long_run.py"), "--quick"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
