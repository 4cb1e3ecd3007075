"""What tools give besides an array and a mesh: rows of a table, and a folder of files."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_surfseg.data.units import UNIT_SYMBOLS
from napari_surfseg.files import written_aside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FolderContents", "Table", "describe_columns", "write_heading", "write_table"]

#: Rows of a table: a column's name and its value, the same columns in each.
Table = list[dict[str, float | int | str]]

POWERS = {1: "", 2: "²", 3: "³", -1: "⁻¹", -2: "⁻²"}


@dataclass(frozen=True)
class FolderContents:
    """What a tool wrote into its folder.

    Attributes
    ----------
    opened : tuple of str
        Names in the folder of the volumes and meshes that become layers.
    table : list of dict
        Rows, where there are some.
    notes : tuple of str
        Sentences for the person.
    annotated : tuple of str
        Those of `opened` that are labels of 0 background, 1 surface, 2 not annotated.
    hidden : tuple of str
        Those of `opened` that are not shown at first.
    """

    opened: tuple[str, ...] = ()
    table: Table = field(default_factory=list)
    notes: tuple[str, ...] = ()
    annotated: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def describe_columns(powers: Mapping[str, int], units: str | None) -> dict[str, str]:
    """Give the unit of each column that has one: ``{"area": "nm²"}``.

    Parameters
    ----------
    powers : mapping
        Of the unit of length, by column.
    units : str, optional
        Standard name of it; voxel sizes without one are numbers only.
    """
    symbol = UNIT_SYMBOLS.get(units or "", "")
    return {name: f"{symbol}{POWERS[power]}" for name, power in powers.items() if symbol}


def write_heading(column: str, units: Mapping[str, str]) -> str:
    """Write a column's name with its unit, where it has one: ``area [nm²]``."""
    return f"{column} [{units[column]}]" if units.get(column) else column


def write_table(path: Path, table: Table, units: Mapping[str, str] | None = None) -> None:
    """Write rows as CSV, with the unit of a column in its heading: ``area [nm²]``."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        columns = list(table[0]) if table else []
        writer = csv.DictWriter(file, columns)
        writer.writerow({name: write_heading(name, units or {}) for name in columns})
        writer.writerows(table)
