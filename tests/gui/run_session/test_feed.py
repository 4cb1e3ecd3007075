"""The feed polls a run in a thread and reports what is new, in order."""

import time

import numpy as np
from tests.gui.conftest import step_event
from tests.gui.run_session.conftest import write_preview

from napari_surfseg.gui.run_session.feed import RunFeed
from napari_surfseg.gui.run_session.previews import LivePreview


def test_the_feed_hands_over_events_and_previews_in_order(qtbot, run, writer):
    for number in range(1, 30):
        writer.write(step_event(number))
    write_preview(run, writer, 0, 10)
    feed = RunFeed(run.path)
    steps, shown = [], []
    feed.polled.connect(lambda snapshot: steps.extend(e.step for e in snapshot.new_events))
    feed.preview_loaded.connect(lambda preview: shown.append(int(preview.probabilities.max())))
    feed.start()
    qtbot.waitUntil(lambda: shown == [10], timeout=10000)
    writer.write(step_event(31))
    write_preview(run, writer, 1, 20)
    qtbot.waitUntil(lambda: shown == [10, 20], timeout=10000)
    feed.show_preview(0)
    qtbot.waitUntil(lambda: shown == [10, 20, 10], timeout=10000)
    write_preview(run, writer, 2, 30)  # looking back is not interrupted
    time.sleep(0.6)
    feed.show_preview(None)
    qtbot.waitUntil(lambda: shown == [10, 20, 10, 30], timeout=10000)
    feed.stop(wait_seconds=5)
    assert steps[:29] == list(range(1, 30))


def preview(index=0):
    empty = np.zeros((16, 64, 64), np.uint8)
    return LivePreview(index, "/data/scan.zarr", (0, 0, 0), empty, empty.copy())
