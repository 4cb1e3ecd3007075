"""What a GPU needs to be trusted with, in one command and within eight minutes.

Correctness (losses and gradients beside the CPU's), the time of a training step of every preset at
64^3, 96^3 and 128^3 with the memory that was estimated and taken, whether the loader keeps up,
the rate of prediction, what happens where memory runs out, and the reference experiment in full
size. A section that fails says why; the command then ends with 1.

    python benchmarks/gpu.py [--device cuda] [--quick] [--record]

With ``--device cpu --quick`` it shows that it runs. Only what a real GPU gave is recorded.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides, load_preset
from napari_surfseg.data.patches.loader import Batch
from napari_surfseg.device import choose_precision
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.networks import estimate_network_bytes, resolve_network
from napari_surfseg.out_of_memory import free_memory, is_out_of_memory
from napari_surfseg.training import gradients
from napari_surfseg.training.gradients import GradientComputer
from napari_surfseg.training.learner import Learner
from napari_surfseg.training.trainer import Trainer
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = Path(__file__).parent / "results" / "gpu.md"
INTENSITY = Intensity(low=0, high=255, mean=0.4, std=0.15)
PRESETS = ("tiny", "small", "base", "exp001")
EDGES = (64, 96, 128)
#: How far from the CPU's a loss and a gradient's norm may lie, relatively.
CLOSE = {"float32": 1e-3, "bf16": 5e-2}
SMALL = ("model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",)


class UntrustedError(Exception):
    """A number that a GPU cannot be trusted with."""


@dataclass
class Bench:
    """What is measured on, and until when."""

    device: torch.device
    is_quick: bool
    folder: Path
    until: float

    @property
    def precision(self) -> str:
        """As a run would choose it."""
        return choose_precision("auto", self.device)

    def wait(self) -> None:
        """Wait for the device, so that a clock can be read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def measure(self, call: Callable[[], object], rounds: int) -> float:
        """Return the median seconds of a call, after one that is not counted."""
        seconds = []
        for number in range(rounds + 1):
            self.wait()
            begun = time.perf_counter()
            call()
            self.wait()
            if number:
                seconds.append(time.perf_counter() - begun)
            if time.monotonic() > self.until and seconds:
                break
        return statistics.median(seconds)

    def read_peak(self) -> str:
        """Say what tensors took at most."""
        if self.device.type != "cuda":
            return "-"
        return format_bytes(torch.cuda.max_memory_allocated(self.device))


def make_sheets(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Make a noisy image of wavy sheets, and its labels with a border that nobody annotated."""
    z, y, x = np.ogrid[tuple(slice(size) for size in shape)]
    wave = z + 5 * np.sin(y / 17) + 4 * np.cos(x / 23) + 0.3 * x
    labels = (np.mod(wave, 14) < 3).astype(np.uint8)
    labels[:, :2] = 2
    noise = np.random.default_rng(0).normal(90, 25, shape)
    return (noise + 50 * (labels == 1)).clip(0, 255).astype(np.uint8), labels


def repeat_batch(edge: int, count: int = 1) -> Iterator[Batch]:
    """Give the same batch of patches again and again."""
    image, labels = (np.stack([part[None]] * count) for part in make_sheets((edge,) * 3))
    batch = Batch(image, labels, [0] * count, [True] * count, [], np.zeros(3), (0, count))
    while True:
        yield batch


def build(bench: Bench, overrides: list[str], edge: int, **choice: Any) -> GradientComputer:
    """Build what computes the gradients of a network."""
    experiment = apply_overrides(Experiment(), [*overrides, f"data.patch_size={[edge] * 3}"])
    architecture = resolve_network(experiment.model, (edge,) * 3, device=bench.device.type)
    torch.manual_seed(0)
    given = {"device": bench.device, "precision": bench.precision, **choice}
    return GradientComputer(experiment, architecture, INTENSITY, (1.0, 1.0, 1.0), **given)


def check_correctness(bench: Bench) -> list[str]:
    """Compare the losses and the gradient of one step with those of the CPU."""
    edge = 16 if bench.is_quick else 32
    overrides = [*SMALL, "model.deep_supervision=true", "loss.skeleton_recall=0.2"]
    weights = apply_overrides(Experiment(), overrides).loss.weights

    def compute(device: torch.device, precision: str) -> dict[str, float]:
        made = build(bench, overrides, edge, device=device, precision=precision)
        loss = made.compute(repeat_batch(edge, 2), weights, 0)
        norm = torch.nn.utils.clip_grad_norm_(made.network.parameters(), float("inf"))
        values = [*loss.values.tolist(), float(norm)]
        return dict(zip([*loss.names, "gradient"], values, strict=True))

    expected = compute(torch.device("cpu"), "float32")
    lines = [
        "| precision | greatest relative difference | of | allowed |",
        "| --- | ---: | --- | ---: |",
    ]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        for precision in dict.fromkeys(("float32", bench.precision)):
            found = compute(bench.device, precision)
            off = {k: abs(found[k] - v) / max(abs(v), 1e-3) for k, v in expected.items()}
            worst = max(off, key=lambda name: off[name])
            lines.append(f"| {precision} | {off[worst]:.1e} | {worst} | {CLOSE[precision]:.0e} |")
            if not off[worst] <= CLOSE[precision]:
                raise UntrustedError("\n".join(lines))
    finally:
        torch.backends.cudnn.allow_tf32 = True
    return lines


def measure_steps(bench: Bench) -> list[str]:
    """Time the training steps of every preset, and what they take of memory."""
    presets, edges = (("tiny",), (32,)) if bench.is_quick else (PRESETS, EDGES)
    lines = [
        f"One patch a step, six loss terms, {bench.precision}, from the batch in memory to the new "
        "weights; the loader left out.",
        "",
        "| preset | parameters | patch | step, ms | memory taken | estimated |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for preset in presets:
        for edge in edges:
            row = _measure_step(bench, preset, edge)
            lines.append(f"| {preset} | {row}")
            free_memory()
            if time.monotonic() > bench.until:
                return [*lines, "", "The time was up; what is missing was not measured."]
    return lines


def _measure_step(bench: Bench, preset: str, edge: int) -> str:
    overrides = [f"model.preset={preset}"]
    estimated = estimate_network_bytes(
        resolve_network(apply_overrides(Experiment(), overrides).model, (edge,) * 3),
        (edge,) * 3,
        bytes_per_value=2 if bench.precision == "bf16" else 4,
    )
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(bench.device)
    try:
        learner = Learner(build(bench, overrides, edge), Experiment().training, ema_decay=0.99)
        batches, weights = repeat_batch(edge), Experiment().loss.weights
        seconds = bench.measure(
            lambda: learner.take_step(batches, weights, 1e-4, 0), 2 if bench.is_quick else 10
        )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return f"- | {edge}^3 | does not fit | - | {format_bytes(estimated)} |"
    return (
        f"{learner.num_parameters / 1e6:.1f} M | {edge}^3 | {1000 * seconds:.1f} "
        f"| {bench.read_peak()} | {format_bytes(estimated)} |"
    )


def train(bench: Bench, overrides: list[str], experiment: Experiment | None = None) -> list[Any]:
    """Train a run on sheets in a folder of its own; return its events."""
    folder = Path(tempfile.mkdtemp(dir=bench.folder))
    shape = (32, 32, 64) if bench.is_quick else (160, 320, 320)
    for name, values in zip(("image", "labels"), make_sheets(shape), strict=True):
        np.save(folder / f"{name}.npy", values)
    pair = f"[{{image: '{folder}/image.npy', labels: '{folder}/labels.npy'}}]"
    happened: list[Any] = []
    Trainer(
        apply_overrides(experiment or Experiment(), [f"data.train={pair}", *overrides]),
        emit=happened.append,
        poll_commands=list,
        checkpoints=folder / "checkpoints",
        previews=folder / "previews",
        samples=folder / "samples",
        device=str(bench.device),
    ).run()
    return happened


def small_run(bench: Bench, steps: int) -> list[str]:
    """Give the settings of a short run."""
    edge = 16 if bench.is_quick else 96
    return [
        *(SMALL if bench.is_quick else ("model={preset: small, start_from: none}",)),
        f"data.patch_size={[edge] * 3}",
        "data.validation.fraction=0.2",
        f"training.train_iterations_per_epoch={steps}",
        "training.max_epochs=1",
        "training.tuning_share=0",
    ]


def check_loader(bench: Bench) -> list[str]:
    """Measure what share of the time of steps is spent waiting for patches."""
    happened = train(bench, small_run(bench, 4 if bench.is_quick else 60))
    epoch = next(event for event in happened if isinstance(event, events.EpochFinished))
    waited = epoch.patches["wait_seconds"] / epoch.epoch_seconds
    return [
        f"{epoch.steps_per_second:.1f} steps a second; {100 * waited:.1f} % of the time the "
        f"network waited for patches ({bench.precision}, workers automatic)."
    ]


def measure_prediction(bench: Bench) -> list[str]:
    """Time the prediction of a region, without flips."""
    edge, preset = (32, "tiny") if bench.is_quick else (384, "base")
    patch = 32 if bench.is_quick else 96
    overrides = [f"model.preset={preset}"]
    network = build(bench, overrides, patch).network.eval()
    model = apply_overrides(Experiment(), overrides).model
    settings = PredictionSettings(
        intensity=INTENSITY,
        window=(patch,) * 3,
        multiple=resolve_network(model, (patch,) * 3).window_multiple,
        flips=False,
        device=bench.device,
        precision=bench.precision,
    )
    image = make_sheets((edge,) * 3)[0]

    def predict() -> None:
        box = ((0, 0, 0), (edge,) * 3)
        predict_region(network, lambda a, b: image[tuple(map(slice, a, b))], box, settings)

    seconds = bench.measure(predict, 1)
    rate = edge**3 / seconds
    return [
        f"`{preset}`, {edge}^3 voxels, {bench.precision}: {rate / 1e6:.2f} million voxels a "
        f"second; 1024^3 at this rate takes {1024**3 / rate:,.0f} s (extrapolated)."
    ]


def check_ladder(bench: Bench) -> list[str]:
    """Let memory run out in a step: the run goes on with less at once, and ends well."""
    overrides = [*small_run(bench, 3), "training.train_batch_size=4"]
    real, failed = gradients.compute_combined_loss, []

    def short_of_memory(heads: Any, *more: Any, **given: Any) -> Any:
        if len(heads[0]) > 1:
            failed.append(len(heads[0]))
            if bench.device.type == "cuda":  # as the allocator says it
                torch.empty(2**50, dtype=torch.uint8, device=bench.device)
            raise MemoryError
        return real(heads, *more, **given)

    gradients.compute_combined_loss = short_of_memory
    try:
        happened = train(bench, overrides)
    finally:
        gradients.compute_combined_loss = real
    rungs = [
        event.patches_at_once for event in happened if isinstance(event, events.MemoryExceeded)
    ]
    if rungs[-1] != 1 or not isinstance(happened[-1], events.RunCompleted):
        raise UntrustedError(
            f"The run did not go on with one patch at once: {rungs}, {happened[-1]}."
        )
    return [
        f"Memory ran out {len(failed)} times: {', '.join(map(str, rungs))} patches at once, and "
        "the run was completed."
    ]


def run_reference(bench: Bench) -> list[str]:
    """Train the reference experiment, in full size, for some steps, with its validation."""
    if bench.is_quick:
        experiment, overrides = None, small_run(bench, 3)
    else:
        experiment = load_preset("exp001_3d_unet_topology_full")
        overrides = ["data.phantom=null", "training.max_epochs=1", "training.tuning_share=0"]
        overrides += ["training.train_iterations_per_epoch=40"]
    happened = train(bench, overrides, experiment)
    steps = [event.total for event in happened if isinstance(event, events.StepFinished)]
    epoch = next(event for event in happened if isinstance(event, events.EpochFinished))
    memory = [event for event in happened if isinstance(event, events.MemoryMeasured)]
    if not np.isfinite(steps).all() or not isinstance(happened[-1], events.RunCompleted):
        raise UntrustedError(f"A loss is not finite, or the run was not completed: {happened[-1]}.")
    lines = [
        f"{epoch.steps_per_second:.2f} steps a second; the loss went from {steps[0]:.3f} to "
        f"{steps[-1]:.3f}."
    ]
    lines += [
        f"It took {format_bytes(event.measured_bytes)} of memory; "
        f"{format_bytes(event.estimated_bytes)} were estimated."
        for event in memory
    ]
    return lines


SECTIONS: dict[str, Callable[[Bench], list[str]]] = {
    "Correctness, beside the CPU": check_correctness,
    "A training step": measure_steps,
    "The loader": check_loader,
    "Prediction": measure_prediction,
    "Where memory runs out": check_ladder,
    "The reference experiment in full size": run_reference,
}


def run_sections(bench: Bench) -> tuple[list[str], bool]:
    """Run all sections while there is time; return the lines, and whether all went well."""
    lines, is_well = [], True
    for title, section in SECTIONS.items():
        begun = time.monotonic()
        lines += ["", f"## {title}", ""]
        if begun > bench.until:
            lines.append("Not measured: the time was up.")
            continue
        try:
            lines += section(bench)
        except Exception as error:  # noqa: BLE001 - the other sections are measured all the same
            is_well = False
            lines.append(f"**Failed**: {type(error).__name__}: {error}")
            traceback.print_exc()
        lines += ["", f"({time.monotonic() - begun:.0f} s)"]
        free_memory()
        print("\n".join(lines[-8:]), flush=True)
    return lines, is_well


def main() -> int:
    """Measure everything, print it, and record it where a GPU gave it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for all of it")
    parser.add_argument("--quick", action="store_true", help="tiny: see whether it runs")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA GPU here; --device cpu --quick shows that it runs")
    is_gpu = device.type == "cuda"
    # The last section begins in time to end within it.
    until = time.monotonic() + 60 * arguments.minutes * 0.85
    with tempfile.TemporaryDirectory(prefix="gpu_") as folder:
        lines, is_well = run_sections(Bench(device, arguments.quick, Path(folder), until))
    name = torch.cuda.get_device_name(device) if is_gpu else platform.machine()
    head = [f"# {name}", "", f"torch {torch.__version__}, Python {platform.python_version()}."]
    text = "\n".join([*head, *lines]) + "\n"
    print(text)
    if arguments.record and is_gpu and not arguments.quick:
        RESULTS.write_text(text, encoding="utf-8")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
