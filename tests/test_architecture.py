"""The rules of the layout: imports point one way and never in a circle, and light parts stay light.

The folders' order is in pyproject.toml, as contracts of import-linter.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "src" / "napari_surfseg"
#: Packages that offer their names to notebooks, each imported when it is first used.
LAZY_PACKAGES = {"napari_surfseg", "napari_surfseg.losses", "napari_surfseg.metrics"}
#: Folders and files that may import torch as they are imported. The window, the run folder, the
#: command line and all other files of the package do without.
COMPUTING = {"data", "device", "losses", "metrics", "model", "surfaces"}
COMPUTING |= {"inference", "sharing", "training"}
COMPUTE = {"torch"}
WINDOW = {"napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "vispy", "magicgui"}

# One process imports them all, so that what they have in common is loaded once. Each is imported as
# if it were the first of the package where ``each_first`` says so; as no circle is there, that
# makes no difference unless a module uses what only another one has imported.
IMPORTER = """
import importlib, json, sys
modules, forbidden, each_first = json.load(sys.stdin)
errors = {}
for name in modules:
    for known in [known for known in sys.modules if known.partition(".")[0] == "napari_surfseg"]:
        if each_first:
            del sys.modules[known]
    try:
        importlib.import_module(name)
    except BaseException as error:
        errors[name] = repr(error)
        continue
    found = sorted({known.partition(".")[0] for known in sys.modules} & set(forbidden))
    if found:
        errors[name] = "imports " + ", ".join(found)
        break  # they stay loaded, so nothing can be said about the modules after it
print(json.dumps(errors))
"""


def _find_modules() -> dict[str, Path]:
    """Return every module of the package and its file, by its full name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _folder_of(module: str) -> str:
    return (module + ".").split(".")[1]


# -- circles -----------------------------------------------------------------------


def _walk_running_code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under ``if TYPE_CHECKING:``, which no interpreter ever runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from (other, *_walk_running_code(other))
        else:
            yield from (child, *_walk_running_code(child))


def _find_imports(source: str, modules: set[str]) -> set[str]:
    """Return the modules of the package that a source imports.

    Imports inside functions count: they only put off what the file depends on. Those for type
    checkers alone do not: they name the types of what is handed over.
    """
    found = set()
    for node in _walk_running_code(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [
                full if (full := f"{node.module}.{alias.name}") in modules else node.module
                for alias in node.names
            ]
        found.update(name for name in names if name in modules)
    return found


def _find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle in their order, the first one again at its end; or none."""
    done: set[str] = set()

    def search(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in sorted(graph[module]):
            if circle := search(other, [*path, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in sorted(graph) if (circle := search(module, []))), [])


def test_no_module_imports_itself_in_a_circle() -> None:
    paths = _find_modules()
    graph = {
        module: _find_imports(path.read_text(encoding="utf-8"), set(paths)) - {module}
        for module, path in paths.items()
    }
    assert " -> ".join(_find_circle(graph)) == ""


@pytest.mark.parametrize(
    ("imports", "circle"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, ["a", "b", "c", "a"]),
    ],
)
def test_a_circle_is_found_and_named(imports: dict[str, set[str]], circle: list[str]) -> None:
    assert _find_circle(imports) == circle


def test_which_imports_count() -> None:
    source = """
import p.a
from p import b, name
if TYPE_CHECKING:
    from p.c import Thing
else:
    from p.d import Thing
def later():
    from p.e import function
"""
    modules = {"p", "p.a", "p.b", "p.c", "p.d", "p.e"}
    assert _find_imports(source, modules) == {"p", "p.a", "p.b", "p.d", "p.e"}


def test_a_packages_init_is_its_description() -> None:
    """What lives there and what may not. Where it also holds names for notebooks, they are lazy."""
    for module, path in _find_modules().items():
        if path.name != "__init__.py":
            continue
        description, *code = ast.parse(path.read_text(encoding="utf-8")).body
        assert isinstance(description, ast.Expr), f"{module} has no description"
        if module in LAZY_PACKAGES:
            imports = [ast.unparse(node) for node in code if "import" in ast.unparse(node)]
            assert imports == ["import lazy_loader"], f"{module} imports more than it needs"
        else:
            assert code == [], f"{module} holds code"


# -- what an import brings along ---------------------------------------------------


def _import_in_fresh_process(
    modules: list[str], forbidden: set[str], *, each_first: bool
) -> dict[str, str]:
    result = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=json.dumps([modules, sorted(forbidden), each_first]),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_modules_are_found() -> None:
    folders = {_folder_of(module) for module in _find_modules()}
    assert {"gui", "runs", "cli", "events", "config", "errors", *COMPUTING} <= folders


EACH_FIRST = pytest.mark.parametrize(
    "each_first", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["all", "each first"]
)


@EACH_FIRST
def test_the_window_the_run_folder_and_the_command_line_import_no_torch(each_first: bool) -> None:
    modules = [name for name in _find_modules() if _folder_of(name) not in COMPUTING]
    assert _import_in_fresh_process(modules, COMPUTE, each_first=each_first) == {}


@EACH_FIRST
def test_nothing_but_the_window_imports_qt_or_napari(each_first: bool) -> None:
    modules = [name for name in _find_modules() if _folder_of(name) != "gui"]
    assert _import_in_fresh_process(modules, WINDOW, each_first=each_first) == {}


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
