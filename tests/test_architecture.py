"""The house's rules: imports point one way, and the window and the run folder stay light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "napari_surfseg"
TORCH_FREE = ("gui", "runs", "events", "config", "config_files", "errors", "cli", "__main__")
COMPUTE = {"torch"}
WINDOW = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "vispy", "magicgui"}

# Each module is imported as if it were the first of the package (so that a circular import
# shows), in one process a group (so that what they have in common is loaded once).
IMPORTER = """
import importlib, json, sys
modules, forbidden = json.load(sys.stdin)
faults = {}
for name in modules:
    for known in [known for known in sys.modules if known.partition(".")[0] == "napari_surfseg"]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except BaseException as error:
        faults[name] = repr(error)
        continue
    found = sorted({known.partition(".")[0] for known in sys.modules} & set(forbidden))
    if found:
        faults[name] = "imports " + ", ".join(found)
        break  # they stay loaded, so nothing can be said about the modules after it
print(json.dumps(faults))
"""


def _modules() -> list[str]:
    paths = sorted(PACKAGE.rglob("*.py"))
    parts = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in paths]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def _room(module: str) -> str:
    return (module + ".").split(".")[1]


def _import_in_fresh_process(modules: list[str], forbidden: set[str]) -> dict[str, str]:
    result = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=json.dumps([modules, sorted(forbidden)]),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_modules_are_found() -> None:
    rooms = {_room(module) for module in _modules()}
    assert {"gui", "runs", "training", "inference", "data", "losses", "metrics", "cli"} <= rooms


def test_window_run_folder_and_command_line_import_no_torch() -> None:
    # __main__ runs the command line when imported as a module only under its own name.
    modules = [module for module in _modules() if _room(module) in ("", *TORCH_FREE)]
    assert _import_in_fresh_process(modules, COMPUTE) == {}


def test_nothing_but_the_window_imports_qt_or_napari() -> None:
    modules = [module for module in _modules() if _room(module) != "gui"]
    assert _import_in_fresh_process(modules, WINDOW) == {}


def test_import_contracts_hold() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports("
            "config_filename='pyproject.toml', no_cache=True))",
        ],
        cwd=PACKAGE.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
