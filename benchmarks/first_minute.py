"""From the click on Start to the first thing a person sees, and what the time goes into.

A run of the sample scroll is started in a real window, with a worker that stands by (warm) and
without one (cold), and on the command line; each time from the network of the package and from
fresh weights. What is measured is when the first live prediction is in the viewer, the first step
is taken, its point is in the curves, and the first validation is reported. On the command line,
which shows no predictions, it is when the worker reports a step and a validation, from the start of
the process.

Inside the worker a thread looks a hundred times a second at what each thread is doing, so that one
sees which phases are one after the other and which at once.

    python benchmarks/first_minute.py [--quick] [--record]

``--processor`` gives the worker's processor seconds instead of the clock's: on a busy machine they
alone can be compared. Run it under a display or xvfb.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results" / "first_minute.md"
WAYS = ("window, warm", "window, cold", "command line")
STARTS = {"the package's network": "auto", "fresh weights": "none"}
#: The worker writes what it does into the file that this variable names.
TRACE = "SURFSEG_TRACE"
LOOK_SECONDS = 0.01
#: In an epoch of a run that is only to show whether this runs.
QUICK_STEPS = 2
MILESTONES = ("first live prediction", "first step", "first point of a curve", "first validation")
#: What is in a thread's stack, from the innermost call outwards, while it is in a phase: the end
#: of a file's path, or that and a function.
PHASES = {
    "imports": ("importlib._bootstrap",),
    "compiled loops": ("numba/", "loop.py:_compile_ahead"),
    "checks and census": ("training/run_data.py:open_pairs", "data/checks.py", "data/census.py"),
    "grey values and symmetries": ("data/intensity.py", "data/patches/sides.py"),
    "network and its weights": ("training/plan.py", "training/learner.py:__init__"),
    "patches": ("data/patches/loader.py",),
    "live prediction": ("training/preview.py",),
    "steps": ("training/loop.py:_take_step",),
    "validation": ("training/scoring.py", "training/validation.py"),
    "the rest of the assembly": ("training/assembly.py",),
}


# -- inside the worker ---------------------------------------------------------------------


def find_phase(places: Iterator[str]) -> str:
    """Find the phase of a stack, given as ``file:function`` from the innermost call outwards."""
    for place in places:
        for phase, marks in PHASES.items():
            if any(mark in place for mark in marks):
                return phase
    return ""


def _walk(frame: Any) -> Iterator[str]:
    while frame is not None:
        yield f"{frame.f_code.co_filename}:{frame.f_code.co_name}".replace("\\", "/")
        frame = frame.f_back


def look_on(path: str) -> None:
    """Write every hundredth of a second what the threads of this process are doing."""
    main, own = threading.main_thread().ident, threading.get_ident()
    with Path(path).open("a", encoding="utf-8", buffering=1) as lines:
        while True:
            found = {}
            for thread, frame in sys._current_frames().items():  # noqa: SLF001
                if thread != own:
                    phase = find_phase(_walk(frame))
                    found["main" if thread == main else str(thread)] = phase
            beside = sorted({phase for name, phase in found.items() if name != "main" and phase})
            row = [time.time(), time.process_time(), found.get("main", ""), beside]
            lines.write(json.dumps(row) + "\n")
            time.sleep(LOOK_SECONDS)


def run_watched(module: str, arguments: list[str]) -> None:
    """Run a module as ``python -m`` does, while a thread looks on."""
    path = os.environ.pop(TRACE)
    threading.Thread(target=look_on, args=(path,), daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


# -- a run ---------------------------------------------------------------------------------


@dataclass
class Found:
    """What one start took: seconds to each milestone, and in each phase.

    ``phases`` holds when a phase began and ended, the seconds of the main thread in it, and
    whether it was in another thread as well.
    """

    way: str
    start: str
    seconds: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    phases: list[tuple[str, float, float, float, bool]] = field(default_factory=list)


def read_trace(path: Path) -> list[list[Any]]:
    """Read what the worker wrote; a half-written last line is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def summarise(
    rows: list[list[Any]], begun: float, ended: float
) -> list[tuple[str, float, float, float, bool]]:
    """Put the looks between two moments together, a row a phase, by their beginning."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    busy: Counter[str] = Counter()
    beside: set[str] = set()
    before = begun
    for at, _processor, main, others in rows:
        if begun <= at <= ended:
            for phase in filter(None, [main, *others]):
                first.setdefault(phase, at - begun)
                last[phase] = at - begun
            busy[main] += at - before
            beside.update(others)
        before = max(at, begun)
    order = sorted(first, key=lambda phase: first[phase])
    return [(name, first[name], last[name], busy[name], name in beside) for name in order]


def processor_at(rows: list[list[Any]], begun: float, at: float) -> float:
    """Return the processor seconds that the worker took between two moments."""
    earlier = [row[1] for row in rows if row[0] <= begun]
    taken = [row[1] for row in rows if row[0] <= at]
    return (taken[-1] if taken else 0.0) - (earlier[-1] if earlier else 0.0)


def collect(
    way: str, start: str, begun: float, reached: dict[str, float], trace: Path
) -> dict[str, Any]:
    """Put a run's moments and its trace together."""
    rows = read_trace(trace)
    seconds = {name: at - begun for name, at in reached.items()}
    processor = {name: processor_at(rows, begun, at) for name, at in reached.items()}
    phases = summarise(rows, begun, max(reached.values()))
    return {
        "way": way,
        "start": start,
        "seconds": seconds,
        "processor": processor,
        "phases": phases,
    }


def read_moments(events_path: Path) -> dict[str, float]:
    """Return when the worker reported the first of each, by what it was."""
    from napari_surfseg.events import (
        PreviewWritten,
        StepFinished,
        ValidationFinished,
        read_events,
    )

    kinds = {
        "first live prediction": PreviewWritten,
        "first step": StepFinished,
        "first validation": ValidationFinished,
    }
    found: dict[str, float] = {}
    for event in read_events(events_path) if events_path.exists() else []:
        for name, kind in kinds.items():
            if isinstance(event, kind):
                found.setdefault(name, event.time)
    return found


def start_in_window(way: str, start: str, folder: Path, steps: int) -> dict[str, Any]:
    """Press Start in a window, and look until everything has come once."""
    from napari_surfseg.gui.demo import Demo
    from napari_surfseg.runs import launch, standby

    trace = folder / "trace.jsonl"
    real = launch.start_detached

    def start_watched(arguments: list[str], **given: Any) -> Any:
        os.environ[TRACE] = str(trace)
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        return real([Path(__file__).stem, "--watched", *arguments], **given)

    launch.start_detached = standby.start_detached = start_watched
    if way == "window, cold":
        standby.Standby.prepare = lambda self: None  # type: ignore[method-assign]
    demo = Demo(folder / "runs")
    view, shown, curves = demo.training.view, demo.training.live.layers, {}
    demo.wait(lambda: bool(view.data.labels.counts), 300)
    view.network.start_from.set_value(STARTS[start])
    view.network.start_from.chosen.emit()
    if way == "window, warm":
        # It answers, with a GPU or none, when it has imported all and taken a trial step.
        demo.wait(lambda: trace.exists() and _stands_by(trace), 600)
    else:
        demo.wait(lambda: False, 2)
    demo.training.session.polled.connect(
        lambda snapshot: curves.setdefault("at", time.time()) if snapshot.step else None
    )
    reached: dict[str, float] = {}

    def look() -> bool:
        session = demo.training.session
        if shown.prediction is not None:
            reached.setdefault("first live prediction", time.time())
        if "at" in curves:
            reached.setdefault("first point of a curve", curves["at"])
        if session.run_dir is not None:
            for name, at in read_moments(session.run_dir / "events.jsonl").items():
                if name != "first live prediction":
                    reached.setdefault(name, at)
        return len(reached) == len(MILESTONES)

    view.training.length.setValue(60)
    view.training.steps.setValue(steps)
    begun = time.time()
    view.run.start.click()
    is_whole = demo.wait(look, 600)
    said = view.run.state.text()
    demo.training.controller.stop()
    demo.wait(lambda: demo.state is not None and not demo.state.is_active, 120)
    demo.close()
    if not is_whole:
        raise SystemExit(f"{way}, {start}: only {sorted(reached)} came. {said}")
    return collect(way, start, begun, reached, trace)


def _stands_by(trace: Path) -> bool:
    """Whether the worker has been waiting for a while, as one that was prepared does."""
    rows = read_trace(trace)
    still = [row for row in rows if row[0] > time.time() - 1]
    return len(still) > 5 and still[-1][1] - still[0][1] < 0.2 and all(not row[2] for row in still)


def start_in_terminal(start: str, folder: Path, steps: int) -> dict[str, Any]:
    """Run ``surfseg train`` until everything has come once."""
    from napari_surfseg.events import Stop, append_command

    trace, run = folder / "trace.jsonl", folder / "run"
    subprocess.run(
        [sys.executable, "-m", "napari_surfseg", "phantom", str(folder / "scroll"),
         *(["--shape", "48,64,64"] if steps <= QUICK_STEPS else [])],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    image, labels = (f"{folder}/scroll/{name}" for name in ("image.zarr", "labels.zarr"))
    config = folder / "config.yaml"
    config.write_text(
        f"data: {{train: [{{image: {image}, labels: {labels}}}]}}\n"
        f"model: {{start_from: {STARTS[start]}}}\n"
        f"training: {{max_minutes: 60, train_iterations_per_epoch: {steps}}}\n",
        encoding="utf-8",
    )
    begun = time.time()
    process = subprocess.Popen(
        [sys.executable, __file__, "--watched", "napari_surfseg", "train", str(config),
         "--run-dir", str(run), "--device", "cpu"],
        env=os.environ | {TRACE: str(trace)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    reached: dict[str, float] = {}
    while len(reached) < 2 and process.poll() is None and time.time() < begun + 600:
        time.sleep(0.05)
        reached = read_moments(run / "events.jsonl")
    if process.poll() is None:
        append_command(run / "commands.jsonl", Stop())
    process.wait(120)
    if len(reached) < 2:
        raise SystemExit(f"command line, {start}: only {sorted(reached)} came.")
    return collect("command line", start, begun, reached, trace)


def measure(way: str, start: str, steps: int) -> Found:
    """Start a run in a process of its own, so that nothing is loaded already."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", way, start, folder, str(steps)]
        subprocess.run(command, check=True)
        return Found(**json.loads((Path(folder) / "found.json").read_text(encoding="utf-8")))


# -- what is printed -----------------------------------------------------------------------


def describe(found: list[Found], *, processor: bool) -> list[str]:
    """Return the two tables as lines of Markdown."""
    unit = "processor seconds of the worker" if processor else "seconds"
    lines = [f"| start, {unit} to | from | " + " | ".join(MILESTONES) + " |"]
    lines.append("| --- " * (2 + len(MILESTONES)) + "|")
    for each in found:
        values = each.processor if processor else each.seconds
        cells = [f"{values[name]:.1f}" if name in values else "" for name in MILESTONES]
        lines.append(f"| {each.way} | {each.start} | " + " | ".join(cells) + " |")
    for each in found:
        lines += ["", f"## {each.way}, {each.start}", ""]
        lines += ["| phase | begins | ends | of the main thread | beside it |", "| --- " * 5 + "|"]
        for name, first, last, busy, beside in each.phases:
            mark = "yes" if beside else ""
            lines.append(f"| {name} | {first:.1f} | {last:.1f} | {busy:.1f} | {mark} |")
    return lines


def main() -> None:
    """Measure and print, and with ``--record`` write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one start, on the command line")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--processor", action="store_true", help="not by the clock")
    parser.add_argument("--steps", type=int, default=20, help="in an epoch; then it validates")
    parser.add_argument("--way", choices=WAYS, action="append", help="only these")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, start, folder, steps = options.one
        place = Path(folder)
        if way == "command line":
            found = start_in_terminal(start, place, int(steps))
        else:
            found = start_in_window(way, start, place, int(steps))
        (place / "found.json").write_text(json.dumps(found), encoding="utf-8")
        return
    ways, starts = options.way or WAYS, list(STARTS)
    if options.quick:
        ways, starts, options.steps = ["command line"], starts[:1], QUICK_STEPS
    measured = []
    for way in ways:
        for start in starts:
            print(f"{way}, {start} ...", file=sys.stderr, flush=True)
            measured.append(measure(way, start, options.steps))
    lines = describe(measured, processor=options.processor)
    print("\n".join(lines))
    if options.record:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        head = [
            "# The first minute",
            "",
            f"`python benchmarks/{' '.join([Path(__file__).name, *sys.argv[1:]])}`, "
            f"{platform.machine()}, {os.cpu_count()} cores, load average {load:.1f} at the end. "
            "Times of phases are by the clock.",
            "",
        ]
        RESULTS.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    if "--watched" in sys.argv[1:2]:
        run_watched(sys.argv[2], sys.argv[3:])
    else:
        main()
