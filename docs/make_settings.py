"""Write settings.md from the configuration's own docstrings and defaults.

    python docs/make_settings.py

A test compares the two, so the page cannot go stale.
"""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import BaseModel

from napari_surfseg.config import Experiment, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent / "settings.md"
INTRODUCTION = """\
# All settings

The sections and keys of an experiment's YAML file. Every one can be changed for a single run with
`--set SECTION.KEY=VALUE`. Unknown keys are refused, with the nearest known one. This page is made
from the program by `docs/make_settings.py`.
"""


def make_page() -> str:
    """Compose the page."""
    lines = [INTRODUCTION]
    for key, field in Experiment.model_fields.items():
        lines += _section(field.annotation, key)
    return "\n".join(lines)


def _section(section: type[BaseModel], prefix: str) -> list[str]:
    nested: list[tuple[str, type[BaseModel]]] = []
    title = inspect.cleandoc(section.__doc__ or "").splitlines()[0]
    lines = [
        f"## `{prefix}`",
        "",
        title,
        "",
        "| setting | default | meaning |",
        "| --- | --- | --- |",
    ]
    meanings = _meanings(section)
    for key, field in section.model_fields.items():
        # Several pairs are a list: its entries have keys, not the list itself.
        nested += [
            (f"{prefix}.{key}" + ("[]" if model is Pair else ""), model)
            for model in _models_in(field.annotation)
        ]
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else _show(default)
        lines.append(f"| `{prefix}.{key}` | {shown} | {meanings[key]} |")
    lines.append("")
    for name, model in nested:
        if not (model is Pair and name.startswith("data.validation")):
            lines += _section(model, name)
    return lines


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _show(default: object) -> str:
    if isinstance(default, BaseModel):
        return "see below"
    plain = list(default) if isinstance(default, tuple) else default
    text = yaml.safe_dump(plain, default_flow_style=True).removesuffix("...\n").strip()
    return f"`{text}`"


def _meanings(section: type[BaseModel]) -> dict[str, str]:
    """Read the Attributes part of a numpy docstring: ``a, b : type`` and indented text."""
    _, _, attributes = inspect.cleandoc(section.__doc__ or "").partition("Attributes\n----------\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S[^:]*\s:\s)", attributes.replace(",\n", ", ")):
        names, _, rest = entry.partition(" : ")
        _, _, text = rest.partition("\n")
        meaning = re.sub(r"`+", "`", " ".join(text.split()))
        for name in names.split(","):
            found[name.strip()] = meaning.replace("|", r"\|")
    return found


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
