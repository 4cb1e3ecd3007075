"""What label values mean: the two usual schemes, and a guess from the values that occur."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LABEL_SCHEMES",
    "NOT_ANNOTATED",
    "describe_objects",
    "name_scheme",
    "suggest_meanings",
    "suggest_scheme",
]

#: Ready-made meanings of the usual label values.
LABEL_SCHEMES: dict[str, dict[int, str]] = {
    "dense": {0: "background", 1: "foreground", 2: "ignore"},
    "strokes": {0: "ignore", 1: "foreground", 2: "background"},
}

#: The usual value of what is not annotated.
NOT_ANNOTATED = 2
#: Labels of which less is not 0 are rather strokes than a volume with so little surface.
SPARSE_SHARE = 0.005


def name_scheme(meanings: Mapping[int, str]) -> str:
    """Return the ready-made meanings that these are: ``"dense"``, ``"strokes"`` or ``"custom"``."""
    for name, scheme in LABEL_SCHEMES.items():
        if meanings and all(scheme.get(v, "ignore") == m for v, m in meanings.items()):
            return name
    return "custom"


def suggest_meanings(values: list[int]) -> dict[int, str]:
    """Guess what the values of dense labels mean; a person corrects it in the form.

    Parameters
    ----------
    values : list of int
        The values that occur, ascending.

    Returns
    -------
    dict
        Two values are background and surface, whatever they are (0 and 255 too); with
        more, 0 is background, 1 surface and the rest not annotated.
    """
    if len(values) == 1:
        return {values[0]: "background" if values[0] == 0 else "foreground"}
    if len(values) == 2:
        return {values[0]: "background", values[1]: "foreground"}
    dense = LABEL_SCHEMES["dense"]
    return {value: dense.get(value, "ignore") for value in values}


def describe_objects(counts: Mapping[int, int]) -> str:
    """Say what labels of a value an object are taken for."""
    total, outside = sum(counts.values()), counts.get(0, 0)
    share = f", 0 is {outside / total:.0%} of the volume" if total and outside else ""
    return (
        f"{len(counts):,} values from {min(counts):,} to {max(counts):,}{share}: taken for "
        "objects, so the surface is where two of them meet. Choose dense if each value has a "
        "meaning."
    )


def suggest_scheme(counts: Mapping[int, int]) -> tuple[dict[int, str], str]:
    """Guess from how often each value occurs what the values mean.

    Parameters
    ----------
    counts : mapping
        Value to voxels.

    Returns
    -------
    meanings : dict
        Of every value.
    assumed : str
        A sentence that says what was assumed; empty where nothing else is likely.
    """
    if not counts:
        return {}, ""
    painted = sum(count for value, count in counts.items() if value != 0)
    is_sparse = painted < SPARSE_SHARE * sum(counts.values())
    if 0 in counts and set(counts) <= {0, 1, 2} and is_sparse:
        strokes = LABEL_SCHEMES["strokes"]
        said = (
            f"Taken for strokes, since {painted:,} {'voxel is' if painted == 1 else 'voxels are'} "
            "painted: what is 0 is not learned from. Choose dense if 0 is background."
            if painted
            else "Nothing is painted yet: paint 1 on the surface and 2 on what is not surface."
        )
        return {value: strokes[value] for value in counts}, said
    return suggest_meanings(sorted(counts)), ""
