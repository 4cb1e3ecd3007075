"""Questions are asked from a thread, not too often, and only where they are needed."""

import threading
import time

from tests.runs.launchers.stand_ins import wait_until

from napari_surfseg.runs.launchers.job import submit_run
from napari_surfseg.runs.launchers.watch import LaunchWatch


def test_whoever_looks_never_waits(run, make_launcher):
    submit_run(run, make_launcher(every=60))
    asked, go = [], threading.Event()

    def refresh(path):
        asked.append(path)
        go.wait(20)

    watch = LaunchWatch(run.path, refresh=refresh)
    began = time.monotonic()
    for _ in range(50):
        assert watch.look(is_needed=True).job == "4711"
    assert time.monotonic() - began < 2
    wait_until(lambda: asked)
    go.set()
    time.sleep(0.05)
    watch.look(is_needed=True)
    assert asked == [run.path]


def test_nothing_is_asked_where_nobody_needs_it(run, make_launcher, tmp_path):
    submit_run(run, make_launcher())
    asked = []
    LaunchWatch(run.path, refresh=asked.append).look(is_needed=False)
    LaunchWatch(run.path, asks=False, refresh=asked.append).look(is_needed=True)
    assert LaunchWatch(tmp_path, refresh=asked.append).look(is_needed=True) is None
    assert asked == []
