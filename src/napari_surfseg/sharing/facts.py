"""What is said of a network that is shared, as sentences for a model card."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING

from napari_surfseg import __version__
from napari_surfseg.data.units import format_sizes
from napari_surfseg.wording import describe_scores, format_size

if TYPE_CHECKING:
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.sharing.settings import ShareSettings

__all__ = ["NetworkFacts", "leave_out_paths", "read_own_licence", "write_card"]

#: Of the scores: those that a card shows.
SHOWN_SCORES = ("surface_dice", "dice", "voi_score", "precision", "recall")


@dataclass(frozen=True)
class NetworkFacts:
    """A network in a few words.

    Attributes
    ----------
    title, description : str
        A line, and a few sentences.
    licence : str
        SPDX identifier.
    authors : tuple of str
        May be empty.
    voxel_size, grey_values, training, scores : str
        Sentences; empty where nothing is known.
    """

    title: str
    description: str
    licence: str
    authors: tuple[str, ...]
    voxel_size: str
    grey_values: str
    training: str
    scores: str

    @classmethod
    def of(cls, checkpoint: Checkpoint, settings: ShareSettings) -> NetworkFacts:
        """Take them from a checkpoint."""
        name = " ".join((settings.title or checkpoint.experiment.experiment.name).split())
        return cls(
            title=name or "Thin surfaces",
            description=(
                "A residual 3-D U-Net that gives each voxel of a volume the probability of lying "
                "on a thin surface, such as a membrane, a cell wall or a sheet. Trained with "
                f"napari-surfseg {__version__}."
            ),
            licence=settings.licence,
            authors=settings.authors,
            voxel_size=_describe_voxels(checkpoint),
            grey_values=_describe_grey_values(checkpoint),
            training=(
                f"{checkpoint.step:,} steps on patches of {format_size(checkpoint.patch_size)} "
                "voxels."
            ),
            scores=_describe_scores(checkpoint),
        )

    @property
    def slug(self) -> str:
        """The title as a name for files."""
        return re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_") or "network"


def leave_out_paths(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint that says nothing of the machine it was trained on, nor how to resume."""
    experiment = checkpoint.experiment
    data = experiment.data.model_copy(
        update={"train": (), "phantom": None, "validation": type(experiment.data)().validation}
    )
    model = experiment.model.model_copy(update={"start_from": None})
    return replace(
        checkpoint,
        experiment=experiment.model_copy(update={"data": data, "model": model}),
        training=None,
    )


def write_card(facts: NetworkFacts, usage: str) -> str:
    """Write a model card in Markdown.

    Parameters
    ----------
    facts : NetworkFacts
        What is said.
    usage : str
        How this form of the network is used, in Markdown.
    """
    authors = ", ".join(facts.authors) or "not named"
    parts = [
        f"# {facts.title}",
        facts.description,
        f"## Use\n\n{usage}",
        "## Input\n\nOne channel, axes Z, Y, X. "
        + " ".join(filter(None, [facts.voxel_size, facts.grey_values])),
        f"## Training\n\n{facts.training}",
        f"## Validation\n\n{facts.scores}",
        "## Limits\n\nTrained on few volumes: on another kind of image, another contrast or "
        "another voxel size it may miss surfaces or invent some. Look at the result before you "
        "rely on it.",
        f"## Authors and licence\n\nAuthors: {authors}. Licence of the weights: {facts.licence}.",
    ]
    return "\n\n".join(parts) + "\n"


def read_own_licence() -> str:
    """Return the licence of this package, under which its source goes along."""
    for name in ("licenses/LICENSE", "LICENSE"):
        try:
            text = metadata.distribution("napari-surfseg").read_text(name)
        except metadata.PackageNotFoundError:
            break
        if text:
            return text
    return "BSD 3-Clause, the napari-surfseg developers"


def _describe_voxels(checkpoint: Checkpoint) -> str:
    if checkpoint.units is None and tuple(checkpoint.spacing) == (1.0, 1.0, 1.0):
        return "The voxel size of the training volumes is not known."
    return f"Voxels of {format_sizes(checkpoint.spacing, checkpoint.units)}, Z, Y, X."


def _describe_grey_values(checkpoint: Checkpoint) -> str:
    if checkpoint.intensity is None:
        return "Each volume is normalised by its own grey values."
    values = checkpoint.intensity.values
    return "" if values is None else f"Grey values {values.describe()} for nearly all voxels."


def _describe_scores(checkpoint: Checkpoint) -> str:
    found = describe_scores(checkpoint.metrics, SHOWN_SCORES)
    if not found:
        return "Not scored."
    return (
        f"On its validation data, at a threshold of {checkpoint.threshold:.2f}: {', '.join(found)}."
    )
