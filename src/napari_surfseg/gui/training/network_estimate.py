"""Says how large the chosen network is and what a step of training will need."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from napari_surfseg.config_files import build_experiment
from napari_surfseg.geometry import to_index
from napari_surfseg.gui.training.form import nest_settings
from napari_surfseg.gui.training.network_facts import must_be_asked
from napari_surfseg.model.presets import (
    check_patch_size,
    count_parameters,
    estimate_training_bytes,
    resolve_architecture,
)
from napari_surfseg.training.memory_estimate import RunMemory
from napari_surfseg.training.rung import Rung
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.gui.training.form import TrainingForm
    from napari_surfseg.gui.training.network_facts import NetworkFacts
    from napari_surfseg.model.presets import Architecture
    from napari_surfseg.process_memory import GpuMemory

__all__ = ["choose_device", "describe_network", "read_model"]

#: A parameter's: weight, gradient, two moments and the averaged weight.
NETWORK_BYTES = 5 * 4


def read_model(form: TrainingForm) -> Model:
    """Read what the form says of the network.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    settings = {key: value for key, value in form.settings.items() if key.startswith("model.")}
    return build_experiment(nest_settings(settings), source="the form").model


def choose_device(form: TrainingForm, gpu: GpuMemory | None) -> str:
    """Say where the run will train, as far as it is known: ``cpu`` or ``cuda``.

    Another machine is chosen for its GPU, of which nothing is known here.
    """
    if form.device == "auto" and form.launcher:
        return "cuda"
    if form.device == "auto":
        return "cpu" if gpu is None else "cuda"
    return "cuda" if form.device == "cuda" else "cpu"


def describe_network(
    form: TrainingForm,
    *,
    facts: NetworkFacts | None = None,
    free_bytes: int | None = None,
    gpu: GpuMemory | None = None,
) -> str:
    """Say how large the network is, what training will need, and whether that is there.

    Parameters
    ----------
    form : TrainingForm
        As filled in.
    facts : NetworkFacts, optional
        What a network answered that must be asked; nothing is said of it without.
    free_bytes : int, optional
        What is free of the machine's memory.
    gpu : GpuMemory, optional
        The GPU that a run would use.

    Raises
    ------
    ConfigError
        Where the patch does not fit the network.
    """
    device, model = choose_device(form, gpu), read_model(form)
    rung = Rung(
        to_index(form.settings["data.patch_size"]),
        form.settings.get("training.train_batch_size", 1),
    )
    if facts is not None:
        check_patch_size(rung.patch_size, facts)
        memory = _estimate_answered(facts, rung, device)
    elif must_be_asked(model):
        return ""
    else:
        architecture = resolve_architecture(model, device=device)
        check_patch_size(rung.patch_size, architecture)
        memory = _estimate_own(form, architecture, rung, device)
    parameters = memory.num_parameters / 1e6
    if form.launcher:
        free_bytes = gpu = None
    where = "CPU" if device == "cpu" else "GPU" if gpu is None else f"GPU ({gpu.name})"
    where += " of the other machine" if form.launcher else ""
    size = f"{parameters:.2g}" if parameters < 10 else f"{parameters:.0f}"
    said = (
        f"{size} million parameters; about {format_bytes(memory.needed(rung))} of memory for "
        f"training with {rung} on the {where}, besides some 0.5 GiB for PyTorch itself."
    )
    free = free_bytes if device == "cpu" else None if gpu is None else gpu.free_bytes
    short = "" if free is None else memory.warn(rung, free)
    return f"{said} {short}" if short else said


def _estimate_own(
    form: TrainingForm, architecture: Architecture, rung: Rung, device: str
) -> RunMemory:
    """Estimate what training a network of ours takes."""
    precision = form.settings.get("training.precision", "auto")
    is_halved = precision == "bf16" or (precision == "auto" and device == "cuda")

    def estimate(num_patches: int) -> int:
        return estimate_training_bytes(
            architecture,
            rung.patch_size,
            batch_size=num_patches,
            bytes_per_value=2 if is_halved else 4,
        )

    return RunMemory.fit(
        estimate,
        rung.patch_size,
        num_parameters=count_parameters(architecture),
        divisor=architecture.divisor,
        device=device,
        batch_size=rung.patches_at_once,
    )


def _estimate_answered(facts: NetworkFacts, rung: Rung, device: str) -> RunMemory:
    """Divide what a network answered into its own and that of the voxels."""
    network_bytes = min(NETWORK_BYTES * facts.num_parameters, facts.step_bytes)
    voxels = prod(rung.patch_size) * rung.patches_at_once
    return RunMemory(
        network_bytes=network_bytes,
        voxel_bytes=(facts.step_bytes - network_bytes) / voxels,
        num_parameters=facts.num_parameters,
        divisor=facts.divisor,
        device=device,
        batch_size=rung.patches_at_once,
    )
