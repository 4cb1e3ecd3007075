"""What the documentation says is so: its configurations, names, links and tables."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import build_experiment
from napari_surfseg.events import Command, Event
from napari_surfseg.runs.launchers.schema import Launcher
from napari_surfseg.vocabulary import LOSS_TERMS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(language: str) -> list[Any]:
    return [
        pytest.param(match.group(2), id=f"{page.name}:{page_text.count(chr(10), 0, match.start())}")
        for page in PAGES
        for page_text in [page.read_text(encoding="utf-8")]
        for match in BLOCK.finditer(page_text)
        if match.group(1) == language
    ]


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_configurations_are_valid(text: str) -> None:
    values = yaml.safe_load(text)
    if "start" in values:
        Launcher.model_validate(values)
        return
    if {"type", "workers"} <= values.keys():
        return  # of a queue: the library that it is for takes what it likes
    assert build_experiment(values).data.train


@pytest.mark.parametrize(
    "text", [block for block in _blocks("python") if not str(block.id).startswith("python.md")]
)
def test_python_examples_import_what_exists(text: str) -> None:
    # Those of python.md go on from each other; test_api.py runs them.
    compile(text, "example", "exec")
    imports = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert imports
    exec("\n".join(imports), {})


def test_readme_shows_the_defaults_of_the_losses() -> None:
    [text] = [p.values[0] for p in _blocks("yaml") if "weighted_bce" in p.values[0]]
    shown = build_experiment(yaml.safe_load(text)).loss
    assert shown == Experiment().loss


def test_settings_page_is_what_the_program_says() -> None:
    path = ROOT / "docs" / "make_settings.py"
    spec = importlib.util.spec_from_file_location("make_settings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == module.make_page(), "run: python docs/make_settings.py"


def test_every_event_command_and_loss_term_is_documented() -> None:
    protocol = (ROOT / "docs" / "run_folder.md").read_text(encoding="utf-8")
    ours = [
        name
        for kinds in (Event.kinds, Command.kinds)
        for name, kind in kinds.items()
        if kind.__module__ == "napari_surfseg.events"
    ]
    assert [name for name in ours if f"`{name}`" not in protocol] == []
    losses = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    assert [term for term in LOSS_TERMS if losses.count(f"| `{term}` |") != 2] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_guarantee_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    promises = re.findall(r"^- (.+?)(?=^- |^#|\Z)", page, flags=re.MULTILINE | re.DOTALL)
    assert len(promises) == page.count("\n- ") > 20
    named = [re.findall(r"`(\S+\.py)::(\w+)`", promise) for promise in promises]
    assert [promise for promise, tests in zip(promises, named, strict=True) if not tests] == []
    missing = []
    for file, name in {test for tests in named for test in tests}:
        path = ROOT / "tests" / file
        if not path.exists() or f"\ndef {name}(" not in path.read_text(encoding="utf-8"):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_index_lists_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [page.name for page in ROOT.glob("docs/*.md") if page.name != "index.md"]
    assert [name for name in pages if f"({name})" not in index] == []


def test_every_picture_is_shown_and_made() -> None:
    there = {path.name for path in (ROOT / "docs" / "images").iterdir()}
    shown = {
        Path(link).name
        for page in PAGES
        for link in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page.read_text(encoding="utf-8"))
        if Path(link).parent.name == "images"
    }
    script = (ROOT / "docs" / "make_screenshots.py").read_text(encoding="utf-8")
    assert there == shown
    assert {name for name in there if f'"{name.removesuffix(".png")}"' in script} == there
