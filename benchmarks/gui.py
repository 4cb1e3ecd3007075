"""Measure whether the window stays smooth while it trains, and training fast beside it.

Prints, and with ``--record`` writes to ``results/gui.md``:

- how long a widget takes to open, and that torch is not in the process;
- what an in-place live update of 128^3 costs the window's thread (processor time);
- what redrawing a loss curve costs as an Image, Surface, Tracks, Vectors and Shapes layer;
- how late a 60 Hz timer is: idle, while napari alone redraws a layer once a second, and while a
  tiny net trains on the phantom;
- steps a second of that run beside the same run without a window;
- how soon after Start the first live prediction lies in the viewer.

Run it on a machine that does nothing else, under a display or xvfb.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

RESULTS = Path(__file__).parent / "results" / "gui.md"
PERIOD_MS = 1000 / 60
NUM_CURVES = 10


def percentile(values: list[float], share: float) -> float:
    """Value below which a share of them lies."""
    return float(np.percentile(values, share)) if values else float("nan")


class Lateness:
    """A 60 Hz timer that notes how late it is."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.late: list[float] = []
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(PERIOD_MS))
        self._timer.timeout.connect(self._on_time)
        self._last: float | None = None

    def _on_time(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.late.append(max(0.0, (now - self._last) * 1e3 - round(PERIOD_MS)))
        self._last = now

    def measure(self, seconds: float) -> list[float]:
        """Let the event loop run and return the delays in milliseconds."""
        from qtpy.QtCore import QEventLoop, QTimer

        self.late, self._last = [], None
        loop = QEventLoop()
        QTimer.singleShot(int(seconds * 1000), loop.quit)
        self._timer.start()
        loop.exec()
        self._timer.stop()
        return list(self.late)


def spin(condition, seconds: float) -> bool:
    """Let the event loop run until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        loop = QEventLoop()
        QTimer.singleShot(20, loop.quit)
        loop.exec()
        if condition():
            return True
    return False


def time_call(call, repeats: int) -> float:
    """Median milliseconds of processor time of a call, so that other work does not count."""
    times = []
    for _ in range(repeats):
        begun = time.thread_time()
        call()
        times.append((time.thread_time() - begun) * 1e3)
    return statistics.median(times)


def measure_live_update(viewer, repeats: int) -> dict[str, float]:
    """Cost of one in-place update of a 128^3 layer, and of replacing its data instead."""
    from napari_surfseg.gui.live.layers import LiveLayers
    from napari_surfseg.gui.run_session.previews import LivePreview

    shape = (128, 128, 128)
    source = viewer.add_image(np.zeros((160, 160, 160), np.uint8), name="source")
    rng = np.random.default_rng(0)
    previews = [
        LivePreview(
            index=index,
            image="x",
            origin=(8, 8, 8),
            probabilities=rng.integers(0, 255, shape, dtype=np.uint8),
            skeleton=(rng.random(shape) > 0.95).astype(np.uint8),
        )
        for index in range(2)
    ]
    live = LiveLayers(viewer)
    for part in live.plan(previews[0], source):
        part()
    state = {"index": 0}

    def in_place() -> None:
        # The window shows one layer a turn of its event loop: this is one such turn.
        state["index"] += 1
        parts = live.plan(previews[state["index"] % 2], source)
        parts[state["index"] % 2]()

    def replaced() -> None:
        state["index"] += 1
        live.prediction.data = previews[state["index"] % 2].probabilities

    found = {
        "in place": time_call(in_place, repeats),
        "data replaced": time_call(replaced, repeats),
    }
    viewer.layers.clear()
    return found


def measure_plain_napari(viewer, seconds: float) -> list[float]:
    """Delays of the timer while napari alone redraws one layer once a second."""
    from qtpy.QtCore import QTimer

    layer = viewer.add_image(np.zeros((128, 128, 128), np.uint8), name="plain")
    spin(lambda: False, 2.0)
    refresh = QTimer()
    refresh.setInterval(1000)
    refresh.timeout.connect(layer.refresh)
    refresh.start()
    late = Lateness().measure(seconds)
    refresh.stop()
    viewer.layers.clear()
    return late


def measure_curves(repeats: int) -> dict[str, float]:
    """Processor milliseconds to change ten noisy curves of 600 points and paint them.

    The paint counts: a layer whose shaders are compiled again with every change costs more there
    than where it is changed.
    """
    from napari.layers import Shapes, Surface, Tracks, Vectors
    from qtpy.QtWidgets import QApplication

    from napari_surfseg.gui.curves.plot_canvas import PlotCanvas
    from napari_surfseg.gui.curves.plot_line import Line

    canvas = PlotCanvas()
    canvas.resize(700, 300)
    canvas.show()
    x = np.linspace(0, 1, 600)
    rng = np.random.default_rng(0)

    def new_points() -> np.ndarray:
        return np.column_stack([150 + 30 * rng.normal(size=600), 600 * x])

    def ribbon() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points = new_points()
        vertices = np.concatenate([points, points + np.asarray([1.5, 0.0])])
        first = np.arange(599)
        faces = np.concatenate(
            [np.c_[first, first + 1, first + 600], np.c_[first + 1, first + 601, first + 600]]
        )
        return vertices, faces, np.ones(len(vertices))

    def vectors() -> np.ndarray:
        points = new_points()
        return np.stack([points[:-1], np.diff(points, axis=0)], 1)

    def tracks() -> np.ndarray:
        return np.column_stack([np.zeros(600), np.arange(600), new_points()])

    def measured(change: Callable[[], object]) -> float:
        def change_and_paint() -> None:
            change()
            QApplication.processEvents()
            QApplication.processEvents()

        change_and_paint()
        return time_call(change_and_paint, repeats)

    def pictures() -> None:
        for number in range(NUM_CURVES):
            y = 0.5 + 0.1 * rng.normal(size=600)
            canvas.set_line(str(number), Line(str(number), x, y, "#ff0000"))
        canvas.flush()

    found = {"a picture in an Image layer (used)": measured(pictures)}
    canvas.clear()
    for name, make, build in (
        ("Surface", lambda: Surface(ribbon()), ribbon),
        ("Tracks", lambda: Tracks(tracks()), tracks),
        ("Vectors", lambda: Vectors(vectors(), edge_width=1.5), vectors),
        (
            "Shapes",
            lambda: Shapes([new_points()], shape_type="path"),
            lambda: [(new_points(), "path")],
        ),
    ):
        layers = [make() for _ in range(NUM_CURVES)]
        for layer in layers:
            canvas.model.layers.append(layer)

        def change(layers: list[Layer] = layers, build: Callable[[], object] = build) -> None:
            for layer in layers:
                layer.data = build()

        found[name] = measured(change)
        canvas.clear()
        canvas.model.layers.clear()
    canvas.close_canvas()
    canvas.deleteLater()
    return found


def count_rate(run_dir: Path, begun: float, ended: float) -> float:
    """Return steps a second of wall-clock time between two moments."""
    from napari_surfseg.events import StepFinished, read_events

    inside = [
        event
        for event in read_events(run_dir / "events.jsonl")
        if isinstance(event, StepFinished) and begun <= event.time <= ended
    ]
    if len(inside) < 2:
        return float("nan")
    return (inside[-1].step - inside[0].step) / (inside[-1].time - inside[0].time)


def measure_headless(config: Path, folder: Path, seconds: float) -> float:
    """Return steps a second of the same run with no window and no preview."""
    from napari_surfseg.config_files import load_experiment
    from napari_surfseg.events import StepFinished, Stop, append_command, read_events
    from napari_surfseg.runs.folder import RunFolder
    from napari_surfseg.runs.launch import launch_worker

    experiment = load_experiment(config)
    quiet = experiment.preview.model_copy(update={"seconds": 0.0})
    run = RunFolder(folder).create(experiment.model_copy(update={"preview": quiet}))
    launch_worker(run.path)

    def steps():
        events = read_events(run.events_path) if run.events_path.exists() else []
        return [event for event in events if isinstance(event, StepFinished)]

    while len(steps()) < 3:
        time.sleep(0.2)
    begun = time.time()
    time.sleep(seconds)
    ended = time.time()
    append_command(run.commands_path, Stop())
    while run.worker_path.exists():
        time.sleep(0.2)
    return count_rate(run.path, begun, ended)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, for a look")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    seconds = 10.0 if options.quick else 40.0
    repeats = 20 if options.quick else 60

    from napari_surfseg.gui.demo import Demo

    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        import napari

        viewer = napari.Viewer(show_welcome_screen=False)
        viewer.window.resize(1280, 800)
        for name, cost in measure_live_update(viewer, repeats).items():
            rows.append((f"live update of 128^3, {name}", f"{cost:.1f} ms", "<= 5 ms in place"))
        for name, cost in measure_curves(repeats).items():
            rows.append((f"redraw ten curves: {name}", f"{cost:.1f} ms", ""))
        plain = measure_plain_napari(viewer, seconds / 2)
        begun = time.perf_counter()
        viewer.window.add_plugin_dock_widget("napari-surfseg", "Surface training")
        opened = time.perf_counter() - begun
        rows.append(("Surface training opens in", f"{opened:.2f} s", "< 1 s"))
        loaded = "torch" in sys.modules
        rows.append(("torch in the napari process", "yes" if loaded else "no", "no"))
        viewer.close()

        demo = Demo(Path(folder) / "runs")
        spin(lambda: False, 2.0)
        lateness = Lateness()
        idle = lateness.measure(seconds / 2)
        started = time.perf_counter()
        demo.start(minutes=60)
        live = demo.training.live.layers
        if not spin(lambda: live.prediction is not None, 180):
            print(demo.training.view.run.state.text())
            return 1
        rows.append(
            (
                "first live prediction after Start",
                f"{time.perf_counter() - started:.1f} s",
                "<= 10 s",
            )
        )
        spin(lambda: False, 3.0)
        begun_at = time.time()
        busy = lateness.measure(seconds)
        run_dir = demo.training.session.run_dir
        with_window = count_rate(run_dir, begun_at, time.time())
        demo.training.controller.stop()
        spin(lambda: demo.state is not None and not demo.state.is_active, 60)
        config = run_dir / "config.yaml"
        for name, late, wanted in (
            ("idle", idle, ("", "", "")),
            ("while napari alone redraws a layer a second", plain, ("", "", "")),
            ("while it trains", busy, ("", "<= 16 ms", "< 50 ms")),
        ):
            found = (percentile(late, 50), percentile(late, 99), max(late))
            for what, value, limit in zip(
                ("median", "99th percentile", "worst"), found, wanted, strict=True
            ):
                rows.append((f"60 Hz timer {name}: {what}", f"{value:.1f} ms", limit))
        headless = measure_headless(config, Path(folder) / "headless", seconds)
        rows.append(("steps/s with the window", f"{with_window:.2f}", ""))
        rows.append(("steps/s headless", f"{headless:.2f}", ""))
        rows.append(("share kept", f"{with_window / headless:.0%}", ">= 90 %"))
        demo.close()
    width = max(len(row[0]) for row in rows)
    for name, value, wanted in rows:
        print(f"{name:<{width}}  {value:>9}   {wanted}")
    if options.record:
        record(rows)
    return 0


def record(rows: list[tuple[str, str, str]]) -> None:
    """Write the table as Markdown."""
    RESULTS.parent.mkdir(exist_ok=True)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    lines = [
        "# The window",
        "",
        f"`python benchmarks/gui.py --record`, {platform.machine()}, {os.cpu_count()} cores, "
        f"load average {load:.1f} at the end, software OpenGL where there is no GPU: a repaint of "
        "the canvas is then the CPU's.",
        "",
        "| what | measured | wanted |",
        "| --- | --- | --- |",
        *(f"| {name} | {value} | {wanted} |" for name, value, wanted in rows),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    if importlib.util.find_spec("napari") is None:
        sys.exit("napari is not installed.")
    sys.exit(main())
