"""Make what a release publishes: source distribution, wheel, and its notes from the changelog.

``python tools/release.py v0.2.0`` fills ``dist``. The package must have that version, and the
changelog a section of it with a date, so that a tag never publishes something else.
"""

from __future__ import annotations

import re
import sys

from wheels import ROOT, build_wheel


def read_notes(version: str, changelog: str) -> str:
    """Return what stands under ``## [version]``, without its heading.

    Raises
    ------
    ValueError
        If there is no such section, it is empty, or it is still marked unreleased.
    """
    parts = re.split(r"^## \[([^\]]+)\](.*)\n", changelog, flags=re.MULTILINE)
    sections = {
        name: (rest, text.strip())
        for name, rest, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    }
    rest, text = sections.get(version, ("", ""))
    if not text:
        raise ValueError(f"CHANGELOG.md has no section for {version}, or an empty one.")
    if "unreleased" in rest:
        raise ValueError(f"CHANGELOG.md calls {version} unreleased; give the section its date.")
    return text


def main(arguments: list[str]) -> int:
    """Build into ``dist``; exit status 2 with a sentence where the version does not fit."""
    version = arguments[0].removeprefix("v") if arguments else ""
    source = (ROOT / "src" / "napari_surfseg" / "__init__.py").read_text(encoding="utf-8")
    [own] = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    try:
        if version != own:
            raise ValueError(f"The package's version is {own}, but the release is '{version}'.")
        notes = read_notes(version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    wheel = build_wheel(outdir=ROOT / "dist", with_source=True)
    (wheel.parent / "notes.md").write_text(notes + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
