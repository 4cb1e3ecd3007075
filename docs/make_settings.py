"""Write settings.md from what the configuration's fields say about themselves.

    python docs/make_settings.py

A test compares the two, so the page cannot go stale.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import yaml
from pydantic import BaseModel

from napari_surfseg.config import Experiment, Pair
from napari_surfseg.config_fields import models_in

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
    for key, field in section.model_fields.items():
        # Several pairs are a list: its entries have keys, not the list itself.
        nested += [
            (f"{prefix}.{key}" + ("[]" if model is Pair else ""), model)
            for model in models_in(field.annotation)
        ]
        default = field.get_default(call_default_factory=True)
        shown = "required" if field.is_required() else _show(default)
        lines.append(f"| `{prefix}.{key}` | {shown} | {_meaning(field.description)} |")
    lines.append("")
    for name, model in nested:
        if not (model is Pair and name.startswith("data.validation")):
            lines += _section(model, name)
    return lines


def _show(default: object) -> str:
    if isinstance(default, BaseModel):
        return "see below"
    plain = list(default) if isinstance(default, tuple) else default
    text = yaml.safe_dump(plain, default_flow_style=True).removesuffix("...\n").strip()
    return f"`{text}`"


def _meaning(description: str | None) -> str:
    return (description or "").replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf-8")
