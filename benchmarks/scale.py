"""What large volumes cost: time, memory and disk, one section a subject.

Each section is measured by a function of :data:`SECTIONS`; ``results/scale.md`` keeps the sections
that were not run. Volumes are phantoms made chunk by chunk on disk, as large as a minute or two
allows; what is larger is extrapolated and says so.

    python benchmarks/scale.py [SECTION ...] [--quick] [--record]

Whoever adds a section writes a module of ``scale_parts`` and one line into the table.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Given whether to be quick, and a folder that is removed afterwards: lines of Markdown.
    Measure = Callable[[bool, Path], list[str]]

RESULTS = Path(__file__).parent / "results" / "scale.md"

#: Module of ``scale_parts`` with the function ``measure``: title of the section.
SECTIONS: dict[str, str] = {
    "sparse": "Labels in a few places of terabytes",
    "remote": "Volumes on a server",
    "postprocess": "Post-processing, block by block",
    "tools": "Surface tools, block by block",
    "prediction": "Prediction, block by block",
    "ranks": "Training in several processes",
}


def read_sections(text: str) -> dict[str, list[str]]:
    """Take a page of results apart: lines by title, with what comes before them under ``""``."""
    found: dict[str, list[str]] = {"": []}
    title = ""
    for line in text.splitlines():
        if line.startswith("## "):
            title = line[3:]
            found[title] = []
        else:
            found[title].append(line)
    return found


def join_sections(kept: dict[str, list[str]], measured: dict[str, list[str]]) -> str:
    """Put a page together: what was measured now, and what is kept, in the order of the table."""
    lines = [
        "# What large volumes cost",
        "",
        "`python benchmarks/scale.py [SECTION ...] --record`; how each was measured stands there.",
    ]
    for title in SECTIONS.values():
        body = measured.get(title) or kept.get(title)
        if body:
            lines += ["", f"## {title}", "", *"\n".join(body).strip("\n").splitlines()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the sections wanted, print them, and put them into the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; by default all")
    parser.add_argument("--quick", action="store_true", help="small volumes: see whether it runs")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    for name in arguments.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}; there are {', '.join(SECTIONS)}")
    measured = {}
    for name in arguments.sections or SECTIONS:
        measure: Measure = import_module(f"scale_parts.{name}").measure
        with tempfile.TemporaryDirectory(prefix="scale_") as folder:
            lines = measure(arguments.quick, Path(folder))
        where = (
            f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}{', quick' if arguments.quick else ''}."
        )
        measured[SECTIONS[name]] = [where, "", *lines]
        print("\n".join(["", f"## {SECTIONS[name]}", "", where, "", *lines]), flush=True)
        if arguments.record:  # after each, so that a long one that fails costs itself only
            text = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
            page = join_sections(read_sections(text), measured)
            RESULTS.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
