"""What the names of slices say: gaps in their numbers, and two stacks in one folder.

::

    slice_0004, slice_0006 ──────────────── a gap: said, and read as neighbours
    z000_ch0, z000_ch1, z001_ch0, … ─────── two stacks that would be mixed: refused
    dapi_000, gfp_000, dapi_001, … ──────── the same
    slice_000, slice_001, overview ──────── one that is named otherwise: said, and read
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from napari_surfseg.errors import DataError
from napari_surfseg.wording import list_words

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_slice_names", "natural_key"]

#: Numbers of that many digits are dates and times, which do not count slices.
DATE_DIGITS = 8

#: Share of all combinations of two numbers from which on they are those of several stacks.
MIXED_SHARE = 0.75

#: Numbers that a note lists one by one.
MOST_LISTED = 6

#: Whole numbers and decimal fractions; the point of ``slice.0001`` is none.
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which slice_2 comes before slice_10."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)


def check_slice_names(stems: Sequence[str], source: str) -> list[str]:
    """Look at the names of slices, without their suffixes, in natural order.

    Returns
    -------
    list of str
        Notes about what is missing or named otherwise.

    Raises
    ------
    DataError
        If they are those of several stacks, which would be mixed slice by slice.
    """
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for stem in stems:
        groups[NUMBER.sub("#", stem.lower())].append(tuple(NUMBER.findall(stem)))
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    notes = []
    if len(ordered) > 1:
        notes.append(_check_groups(ordered, source))
    notes.append(_check_numbers(ordered[0][1], source))
    return [note for note in notes if note]


def _check_groups(groups: Sequence[tuple[str, list[tuple[str, ...]]]], source: str) -> str:
    """Refuse names of several stacks; name those that are like no others."""
    (main, numbers), (second, others) = groups[:2]
    if len(numbers) == 1:
        return ""  # letters, not numbers, put them in order
    is_shared = bool(set(numbers) & set(others))
    if is_shared and len(others) > 1 and 2 * len(others) >= len(numbers):
        raise DataError(
            f"The folder {source} holds several stacks, such as {len(numbers)} files {main!r} and "
            f"{len(others)} files {second!r} with the same numbers; put the slices of one channel "
            "in a folder of their own."
        )
    rest = [name for name, _ in groups[1:]]
    shown = [repr(name) for name in rest[:MOST_LISTED]]
    return (
        f"The folder {source} holds {sum(len(found) for _, found in groups[1:])} files named "
        f"otherwise than its {len(numbers)} files {main!r}: {list_words(shown)}; they are read as "
        "slices in the order of their names."
    )


def _check_numbers(numbers: Sequence[tuple[str, ...]], source: str) -> str:
    """Find the number that counts the slices, and what it leaves out."""
    columns = list(zip(*numbers, strict=True))
    varying = [column for column in columns if len(set(column)) > 1]
    if not varying:
        return ""
    counting = [column for column in varying if len(set(column)) == len(column)]
    if counting:
        # A time beside the number of the slice counts as well; the one with fewer gaps is it.
        return min((_describe_gap(column, source) for column in counting), key=len)
    if len(varying) == 1:
        return ""
    sizes = [len(set(column)) for column in varying]
    found = " x ".join(str(size) for size in sizes)
    if len(numbers) >= MIXED_SHARE * math.prod(sizes):
        raise DataError(
            f"The folder {source} holds {len(numbers)} slices that are numbered in {len(varying)} "
            f"places ({found}), as those of several channels, time points or positions are; put "
            "the slices of one in a folder of their own."
        )
    return (
        f"The slices in {source} are numbered in {len(varying)} places; they are read in the "
        "order of their names."
    )


def _describe_gap(column: Sequence[str], source: str) -> str:
    if any("." in text or len(text) >= DATE_DIGITS for text in column):
        return ""
    found = sorted({int(text) for text in column})
    step = math.gcd(*(b - a for a, b in itertools.pairwise(found)))
    if step == 0:
        return ""
    num_missing = (found[-1] - found[0]) // step + 1 - len(found)
    if not num_missing:
        return ""
    present = set(found)
    missing = (n for n in range(found[0], found[-1], step) if n not in present)
    listed = [str(number) for number, _ in zip(missing, range(MOST_LISTED), strict=False)]
    if num_missing > len(listed):
        listed.append(f"{num_missing - len(listed):,} more")
    return (
        f"The folder {source} lacks slices between number {found[0]} and {found[-1]} "
        f"({list_words(listed)}); those beside a gap are read as if they adjoined."
    )
