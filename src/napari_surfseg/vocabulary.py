"""Every loss term and every validation score: one entry each, read by all that shows or takes them.

An entry holds the key that files and the command line use, the words and the colour that people
see, and of a loss term its default weight. The configuration makes its fields from the entries;
the log, the curves, the sliders and the report take order, titles and colours from here. The
order of the entries is the order in which they are shown.

To add a loss term, write an entry here and a function in
:data:`napari_surfseg.losses.combined.FUNCTIONS`. Imports nothing, so everything may import it.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TypeVar

__all__ = [
    "LOSS_TERMS",
    "SCORES",
    "TOTALS",
    "Entry",
    "LossTerm",
    "Score",
    "color_of",
    "curve_keys",
    "darken",
    "title_of",
]

#: How much darker a colour is on a light ground, where it would look pale.
DARKER = 1.3
OTHER_COLOR = "#999999"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A number that is logged and drawn.

    Attributes
    ----------
    key : str
        Its name in the configuration, in events and in files.
    title : str
        Its name in words, as it stands in the middle of a sentence.
    note : str
        A sentence on what it measures.
    color : str
        Of its curve on a dark ground; :func:`color_of` gives the one for a light ground.
    ticked : bool
        Whether its curve is drawn once its group is unfolded.
    """

    key: str
    title: str
    note: str
    color: str
    ticked: bool = True

    @property
    def heading(self) -> str:
        """The title with a capital letter; a name that has one inside stays as it is."""
        first = self.title.split(" ", 1)[0]
        return self.title if first != first.lower() else self.title[:1].upper() + self.title[1:]


@dataclass(frozen=True, kw_only=True)
class LossTerm(Entry):
    """A term of the loss.

    Attributes
    ----------
    weight : float
        Its weight where the configuration does not say; 0 leaves it out.
    """

    weight: float


@dataclass(frozen=True, kw_only=True)
class Score(Entry):
    """A validation score, from 0 (worst) to 1.

    Attributes
    ----------
    decides : bool
        Whether it may decide which weights are the best (``training.best_by``).
    """

    decides: bool = False


_EntryT = TypeVar("_EntryT", bound=Entry)


def _by_key(*entries: _EntryT) -> dict[str, _EntryT]:
    return {entry.key: entry for entry in entries}


TOTALS = _by_key(
    Entry(
        key="total",
        title="total loss",
        note="What is differentiated: all heads of the network.",
        color="#f2a33a",
    ),
    Entry(
        key="head_total",
        title="finest head",
        note="Sum of weight × term, of the head at full resolution.",
        color="#8c8c8c",
        ticked=False,
    ),
)

LOSS_TERMS = _by_key(
    LossTerm(
        key="weighted_bce",
        title="weighted BCE",
        note="Every voxel counts; surface voxels count 2.8 times. The base of all others.",
        color="#4c9bd6",
        weight=0.35,
    ),
    LossTerm(
        key="soft_dice",
        title="soft Dice",
        note="Overlap with the label; keeps a thin surface from drowning in background.",
        color="#e0564a",
        weight=0.35,
    ),
    LossTerm(
        key="cldice",
        title="clDice",
        note="Overlap of the skeletons: rewards an unbroken sheet over a thick one.",
        color="#37a86b",
        weight=0.10,
    ),
    LossTerm(
        key="morph_skeleton",
        title="skeleton difference",
        note="Difference of the two skeletons, voxel by voxel: keeps the middle in place.",
        color="#a371d9",
        weight=0.08,
    ),
    LossTerm(
        key="surface_distance",
        title="surface distance",
        note="Punishes surface drawn far from the label, up to the tolerance.",
        color="#c98d5a",
        weight=0.07,
    ),
    LossTerm(
        key="toploss_simple",
        title="Euler topology",
        note="Counts pieces, holes and cavities in windows: against gaps and bridges.",
        color="#e06fb3",
        weight=0.05,
    ),
    LossTerm(
        key="skeleton_recall",
        title="skeleton recall",
        note="How much of the label's skeleton is found; against missing stretches.",
        color="#8a9a3a",
        weight=0.0,
    ),
)

SCORES = _by_key(
    Score(
        key="score",
        title="score",
        note="0.30 × topology score + 0.35 × surface Dice + 0.35 × VOI score.",
        color="#2fb344",
        decides=True,
    ),
    Score(
        key="mean_dice",
        title="mean Dice",
        note="Mean of surface Dice and Dice: high where surfaces are in place and no thicker.",
        color="#d9a03f",
        decides=True,
    ),
    Score(
        key="surface_dice",
        title="surface Dice",
        note="Share of the two surfaces within the tolerance of each other.",
        color="#12b5c9",
        decides=True,
    ),
    Score(
        key="topo_score",
        title="topology score",
        note="Share of pieces, tunnels and cavities that both have at the same place.",
        color="#b3a125",
    ),
    Score(
        key="voi_score",
        title="VOI score",
        note="1 / (1 + 0.3 (voi_split + voi_merge)): lower where pieces are split or joined.",
        color="#7d88f0",
    ),
    Score(
        key="dice",
        title="Dice",
        note="Overlap of the voxels.",
        color="#f0729a",
    ),
    Score(
        key="precision",
        title="precision",
        note="Share of the predicted surface within the tolerance of the true one.",
        color="#5f9ea0",
        ticked=False,
    ),
    Score(
        key="recall",
        title="recall",
        note="Share of the true surface within the tolerance of the predicted one.",
        color="#d2694b",
        ticked=False,
    ),
)


def curve_keys() -> list[str]:
    """Return every key in the order of a legend: totals, terms, scores."""
    return [*TOTALS, *LOSS_TERMS, *SCORES]


def find_entry(key: str) -> Entry | None:
    """Return the entry of a total, a term or a score; None for a key of another version."""
    return TOTALS.get(key) or LOSS_TERMS.get(key) or SCORES.get(key)


def title_of(key: str) -> str:
    """Return the words for a key, in the middle of a sentence."""
    entry = find_entry(key)
    return entry.title if entry is not None else key.replace("_", " ")


def color_of(key: str, *, light: bool = False) -> str:
    """Return the colour of a curve, darker on a light ground."""
    entry = find_entry(key)
    color = entry.color if entry is not None else OTHER_COLOR
    return darken(color) if light else color


def darken(color: str) -> str:
    """Return a ``#rrggbb`` colour for a light ground: the same hue, less bright."""
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    dark = colorsys.hsv_to_rgb(hue, saturation, value / DARKER)
    return "#" + "".join(f"{round(255 * part):02x}" for part in dark)
