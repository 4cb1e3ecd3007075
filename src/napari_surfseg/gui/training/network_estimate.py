"""Says how large the chosen network is and what a step of training will need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.config_files import build_experiment
from napari_surfseg.gui.training.form import nest_settings
from napari_surfseg.gui.training.network_facts import must_be_asked
from napari_surfseg.model.presets import (
    check_patch_size,
    count_parameters,
    estimate_training_bytes,
    resolve_architecture,
)
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.gui.training.form import TrainingForm
    from napari_surfseg.gui.training.network_facts import NetworkFacts

__all__ = ["describe_network", "read_model"]


def read_model(form: TrainingForm) -> Model:
    """Read what the form says of the network.

    Raises
    ------
    ConfigError
        Naming the setting.
    """
    settings = {key: value for key, value in form.settings.items() if key.startswith("model.")}
    return build_experiment(nest_settings(settings), source="the form").model


def describe_network(
    form: TrainingForm,
    *,
    facts: NetworkFacts | None = None,
    available_bytes: int | None = None,
) -> str:
    """Say how large the network is and what a step of training will need.

    Parameters
    ----------
    form : TrainingForm
        Size, patch and device.
    facts : NetworkFacts, optional
        What a network answered that must be asked; nothing is said of it without.
    available_bytes : int, optional
        Free memory, to say where it is too little.

    Raises
    ------
    ConfigError
        Where the patch does not fit the network.
    """
    device = "cuda" if form.device == "cuda" else "cpu"
    model = read_model(form)
    z, y, x = form.settings["data.patch_size"]
    if facts is not None:
        check_patch_size((z, y, x), facts)
        needed, parameters = facts.step_bytes, facts.num_parameters / 1e6
    elif must_be_asked(model):
        return ""
    else:
        architecture = resolve_architecture(model, device=device)
        check_patch_size((z, y, x), architecture)
        needed = estimate_training_bytes(
            architecture, (z, y, x), batch_size=form.settings.get("training.train_batch_size", 1)
        )
        parameters = count_parameters(architecture) / 1e6
    where = "GPU" if device == "cuda" else "CPU"
    size = f"{parameters:.2g}" if parameters < 10 else f"{parameters:.0f}"
    said = (
        f"{size} million parameters; about {format_bytes(needed)} of memory for a step with "
        f"patches of {z} × {y} × {x} on the {where}, besides some 0.5 GiB for PyTorch itself."
    )
    if device == "cpu" and available_bytes is not None and needed > 0.9 * available_bytes:
        said += (
            f" Only {format_bytes(available_bytes)} are free: choose a smaller patch or network."
        )
    return said
