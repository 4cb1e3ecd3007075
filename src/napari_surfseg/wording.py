"""Numbers and times as a person writes them, for the log, the tables and the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_surfseg.vocabulary import SCORES, title_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "align_columns",
    "describe_basis",
    "describe_scores",
    "format_bytes",
    "format_duration",
    "format_number",
    "format_percent",
    "format_shape",
    "format_short",
    "format_size",
    "list_words",
    "shorten_sources",
    "tabulate_markdown",
]


def format_duration(seconds: float | None) -> str:
    """Write a time span: ``4.2 s``, ``3 min 07 s``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def format_number(value: float | None, digits: int = 3) -> str:
    """Write a loss or a score; a missing or non-finite value is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and abs(value) < 10**-digits / 2:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def format_short(value: float) -> str:
    """Write a number in three or four figures, where there is little room: ``0.123``, ``12.3``."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10000 or size < 0.001:
        return f"{value:.2g}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}"


def describe_scores(scores: Mapping[str, float], keys: Iterable[str] = SCORES) -> list[str]:
    """Name each score that there is and write it: ``["surface Dice 0.910", "Dice 0.700"]``."""
    known = [(key, value) for key in keys if (value := scores.get(key)) is not None]
    return [f"{title_of(key)} {format_short(value)}" for key, value in known]


def format_percent(share: float | None) -> str:
    """Write a share as a percentage with a sensible number of digits."""
    if share is None or not math.isfinite(share):
        return "–"
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 99.95 or percent == 0 else f"{percent:.1f} %"


def describe_basis(num_annotated: int, num_surface: int) -> str:
    """Say on what scores were made; empty where it is not known."""
    if not num_annotated:
        return ""
    return f"on {num_annotated:,} annotated voxels, {num_surface:,} of them surface"


def format_bytes(num_bytes: float) -> str:
    """Write a size in memory or on disk: ``512 B``, ``12.5 MiB``, ``3.1 GiB``."""
    size = float(num_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.0f} TiB" if size >= 100 else f"{size:.3g} TiB"


def format_size(size: Sequence[int]) -> str:
    """Write a size in voxels: ``64 × 128 × 128``."""
    return " × ".join(str(edge) for edge in size)


def format_shape(shape: Sequence[int]) -> str:
    """Write the shape of an array in a sentence about a file: ``64 x 128 x 128``."""
    return " x ".join(str(size) for size in shape) or "()"


def list_words(words: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def shorten_sources(sources: Sequence[str]) -> list[str]:
    """Name paths by their last part, and by as many before it as tell them apart."""
    parts = [source.replace("\\", "/").rstrip("/").split("/") for source in sources]
    longest = max(map(len, parts), default=1)
    for count in range(1, longest + 1):
        names = ["/".join(path[-count:]) for path in parts]
        if len(set(names)) == len(set(sources)):
            return names
    return list(sources)


def align_columns(rows: Sequence[Sequence[str]], *, numbers: frozenset[int] | set[int]) -> str:
    """Lay rows out in columns for a terminal, the columns in ``numbers`` to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def tabulate_markdown(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1
) -> list[str]:
    """Lay out a Markdown table whose first ``left`` columns are text, the others numbers."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    rule = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return [line(cells[0]), line(rule), *(line(row) for row in cells[1:])]
