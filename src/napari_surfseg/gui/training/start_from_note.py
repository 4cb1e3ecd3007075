"""Says in a sentence what a new run will take of the network that it starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.config import Model
from napari_surfseg.model.presets import choose_preset, resolve_architecture
from napari_surfseg.networks.registry import (
    AUTO,
    FRESH,
    find_network,
    find_start_network,
    is_network_name,
    list_networks,
)
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from napari_surfseg.networks.registry import ShippedNetwork
    from napari_surfseg.runs.checkpoint_summary import CheckpointSummary

__all__ = ["describe_file_start", "describe_start", "find_meant"]


def find_meant(model: Model, device: str) -> ShippedNetwork | None:
    """Find the network of the package that ``start_from: auto`` takes; None for fresh weights.

    ``device`` is ``cpu`` or ``cuda``, which settles the automatic size.
    """
    found = find_start_network(choose_preset(model, device))
    if found is None or not _is_alike(model, Model(**found.model), device):
        return None  # of a network that nobody named, all or nothing
    return found


def describe_start(model: Model, device: str) -> str:
    """Say what is taken of a network of the package, or that there is none; empty for a file."""
    source = model.start_from
    if source == AUTO:
        found = find_meant(model, device)
        known = list_networks()
        if found is None and known:
            return (
                f"No network of the package is built like this one; choose {known[0].name} above "
                "to take what fits, or Size automatic besides to take its size too."
            )
        source = FRESH if found is None else found.name
    if source == FRESH:
        return "It begins knowing nothing: the first surfaces take about a minute of training."
    if not is_network_name(source):
        return ""
    network = find_network(source)
    what = f"It finds {list_words(network.finds, 'and')} already"
    own = Model(**network.model)
    if _takes_size(model) or _is_alike(model, own, device):
        return f"{what} ({network.limits}), and learns yours from there."
    return (
        f"{what}, but it is of another size ({own.preset}): only the layers that fit are taken. "
        "Size automatic takes its size too."
    )


def describe_file_start(model: Model, summary: CheckpointSummary) -> str:
    """Say what is taken of a checkpoint, as far as the summary beside it tells."""
    if not summary.model:
        return "The weights that fit are taken; the run says which did not."
    named = f"{summary.path.name} of {summary.name}" if summary.name else summary.path.name
    what = f"{named}, network {summary.model}"
    if summary.epoch is not None:
        what += f", epoch {summary.epoch}"
    if summary.surface_dice is not None:
        what += f", surface Dice {summary.surface_dice:.2f}"
    if _takes_size(model) or model.preset == summary.model:
        return f"{what}: its weights are taken."
    return f"{what}: of another size, so only the layers that fit are taken."


def _takes_size(model: Model) -> bool:
    """Whether a start that is named gives its size as well."""
    return model.preset == "auto" and model.start_from != AUTO


def _is_alike(model: Model, other: Model, device: str) -> bool:
    """Whether two networks compute the same; heads that serve training only may differ."""
    if {"monai", "nnunet"} & {model.preset, other.preset}:
        kinds = [(one.preset, one.network, one.arguments) for one in (model, other)]
        return kinds[0] == kinds[1]
    ours, theirs = (
        replace(resolve_architecture(one, device=device), num_heads=1, dropout=0.0)
        for one in (model, other)
    )
    return ours == theirs
