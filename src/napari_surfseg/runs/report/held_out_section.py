"""Scores of a part that neither the training nor the search for post-processing saw.

``held_out.json`` lies in the run folder; the report shows it, plain threshold and
tuned post-processing side by side.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_surfseg.files import written_aside
from napari_surfseg.vocabulary import SCORES
from napari_surfseg.wording import format_number, tabulate_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_surfseg.runs.folder import RunFolder

__all__ = ["describe_held_out", "held_out_picture", "tabulate_comparison", "write_held_out"]

NAME = "held_out.json"
COLUMNS = ("above 0.5", "with post-processing")


def held_out_picture(folder: RunFolder) -> Path:
    """Where the picture of the part is."""
    return folder.report_folder / "held_out.png"


def write_held_out(
    folder: RunFolder, plain: Mapping[str, float], predicted: Mapping[str, float]
) -> None:
    """Note the scores at a plain threshold of 0.5 and of what ``surfseg predict`` gives."""
    values = dict(zip(COLUMNS, (dict(plain), dict(predicted)), strict=True))
    with written_aside(folder.path / NAME) as aside:
        aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def tabulate_comparison(
    plain: Mapping[str, float], predicted: Mapping[str, float]
) -> list[list[str]]:
    """Lay the scores out in rows: name, both scores, change."""
    return [
        [
            name,
            format_number(plain[name], 4),
            format_number(predicted[name], 4),
            f"{predicted[name] - plain[name]:+.4f}",
        ]
        for name in SCORES
        if name in plain and name in predicted
    ]


def describe_held_out(folder: RunFolder) -> list[str]:
    """Make the report's section; nothing where no part was held out or the file is damaged."""
    try:
        values = json.loads((folder.path / NAME).read_text(encoding="utf-8"))
        rows = tabulate_comparison(*(values[name] for name in COLUMNS))
    except (OSError, ValueError, TypeError, KeyError):
        return []
    picture = held_out_picture(folder)
    shown = [f"![The part that was held out](report/{picture.name})", ""]
    return [
        "## On the part that was held out",
        "",
        "Neither the network nor the search for post-processing has seen it. *Above 0.5* is a "
        "plain threshold; post-processing, with the settings in `best.pt`, is what "
        "`surfseg predict` makes of the same probabilities.",
        "",
        *tabulate_markdown(["", *COLUMNS, "change"], rows, left=1),
        "",
        *(shown if picture.exists() else []),
    ]
