"""How long a ``Stop`` may go unheard: the processor time between two questions whether to end.

A run is made on real data, from the checks to the report, and every question is timed. The longest
time between two of them in a phase, and what is left of the 0.25 s in which commands are not looked
at again, is what a person waits for at most. Processor time, since other work on the machine
changes nothing of it; with one thread it is what the clock shows on an idle machine.

    python benchmarks/stop.py IMAGE LABELS [--preset small] [--patch 64,64,64] [--record]

``--hooks`` measures instead what the questions between the layers of a network cost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import tempfile
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from napari_surfseg.config import Experiment, Model
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.stop_checks import check_between_layers
from napari_surfseg.training.stop_listener import LISTEN_SECONDS, StopListener
from napari_surfseg.training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).parent / "results" / "stop.md"
#: What a phase is called, and what is run in it.
PHASES = {
    "opening and counting the volumes": "napari_surfseg.training.run_data.open_pairs",
    "grey values of each volume": "napari_surfseg.training.run_data.fit_pairs",
    "grey values of the run": "napari_surfseg.training.run_data.compute_intensity",
    "the search for symmetries": "napari_surfseg.training.run_data.resolve_symmetries",
    "fitting the pixel classifier": "napari_surfseg.training.assembly.open_stroke_start",
    "the regions that are scored": "napari_surfseg.training.assembly._build_validator",
    "compiled loops": "napari_surfseg.training.loop.TrainingLoop._compile_ahead",
    "a training step": "napari_surfseg.training.loop.TrainingLoop._take_step",
    "a live preview": "napari_surfseg.training.loop.TrainingLoop._write_preview",
    "validation": "napari_surfseg.training.loop.TrainingLoop._validate",
    "choosing the post-processing": "napari_surfseg.training.loop.TrainingLoop._tune",
    "samples of the report": "napari_surfseg.training.loop.TrainingLoop._write_samples",
}


class Gaps:
    """The longest processor time between two questions, and how many there were, by phase."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}
        self.total: dict[str, float] = {}
        self.count: dict[str, int] = {}
        self._phases: list[str] = []
        self._last = time.process_time()

    def ask(self) -> None:
        """Note a question."""
        now = time.process_time()
        if self._phases:
            phase = self._phases[-1]
            self.longest[phase] = max(self.longest.get(phase, 0.0), now - self._last)
            self.total[phase] = self.total.get(phase, 0.0) + now - self._last
            self.count[phase] = self.count.get(phase, 0) + 1
        self._last = now

    def watch(self, stack: contextlib.ExitStack, phase: str, name: str) -> None:
        """Count what is asked while a function runs as a phase; others within are phases too."""
        owner_name, _, attribute = name.rpartition(".")
        owner = resolve_name(owner_name)
        real = getattr(owner, attribute)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.ask()
            self._phases.append(phase)
            try:
                return real(*args, **kwargs)
            finally:
                self.ask()
                self._phases.pop()

        setattr(owner, attribute, watched)
        stack.callback(setattr, owner, attribute, real)


def measure(overrides: list[str]) -> Gaps:
    """Make a run and time the questions of each phase."""
    gaps = Gaps()
    real = StopListener.is_stopped

    def is_stopped(listener: StopListener) -> bool:
        gaps.ask()
        return real(listener)

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        StopListener.is_stopped = is_stopped  # type: ignore[method-assign]
        stack.callback(setattr, StopListener, "is_stopped", real)
        for phase, name in PHASES.items():
            gaps.watch(stack, phase, name)
        Trainer(
            apply_overrides(Experiment(), overrides),
            emit=lambda _event: None,
            poll_commands=list,
            checkpoints=folder / "checkpoints",
            previews=folder / "previews",
            samples=folder / "samples",
            device="cpu",
        ).run()
    return gaps


def measure_hooks(preset: str, edge: int, rounds: int) -> tuple[float, float]:
    """Return the least processor seconds of a pass both ways, without and with questions."""
    torch.set_num_threads(1)
    plain = build_unet(Model(preset=preset))
    asking = check_between_layers(build_unet(Model(preset=preset)))
    asking.load_state_dict(plain.state_dict())
    image = torch.randn(1, 1, edge, edge, edge)
    listener = StopListener(list)

    def take(network: Callable[..., list[torch.Tensor]]) -> float:
        begun = time.process_time()
        sum(head.sum() for head in network(image)).backward()  # type: ignore[union-attr]
        return time.process_time() - begun

    from napari_surfseg.cancelling import listening

    with listening(listener.is_stopped):
        times = np.array([[take(plain), take(asking)] for _ in range(rounds)])
    without, with_questions = times.min(axis=0).tolist()
    return without, with_questions


def main() -> None:
    """Measure and print, and with ``--record`` write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?")
    parser.add_argument("labels", nargs="?")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--patch", default="64,64,64")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--hooks", action="store_true")
    args = parser.parse_args()
    if args.hooks:
        edge = int(args.patch.split(",")[0])
        without, with_questions = measure_hooks(args.preset, edge, rounds=7)
        lines = [
            f"`{args.preset}`, one patch of {edge}^3, forward and backward: {without:.4f} s of the "
            f"processor without questions between layers, {with_questions:.4f} s with them."
        ]
    else:
        gaps = measure(
            [
                f"data.train=[{{image: {args.image}, labels: {args.labels}}}]",
                f"data.patch_size=[{args.patch}]",
                f"model.preset={args.preset}",
                "training.workers=0",
                "training.max_epochs=1",
                f"training.train_iterations_per_epoch={args.steps}",
                "training.tuning_share=1",
                *args.set,
            ]
        )
        lines = [
            f"`{args.preset}`, patches of [{args.patch}], {Path(args.image).name}; "
            f"{platform.machine()}, torch {torch.__version__}, one thread.",
            "",
            "| phase | longest time without a question, s | unheard at most, s | all of it, s | "
            "questions |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(
                f"| {phase} | {gaps.longest[phase]:.2f} | "
                f"{gaps.longest[phase] + LISTEN_SECONDS:.2f} | {gaps.total[phase]:.1f} | "
                f"{gaps.count[phase]} |"
                for phase in PHASES
                if phase in gaps.longest
            ),
        ]
    text = "\n".join(lines)
    print(text)
    if args.record:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(text + "\n\n")


if __name__ == "__main__":
    main()
