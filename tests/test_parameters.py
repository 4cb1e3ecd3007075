"""No public function takes more than eight parameters without giving a reason.

What is passed on together belongs in one frozen object. Where a long list is right all the same,
the docstring says why, after "Many parameters:". Dataclasses and configuration models have no
written constructor and may hold as many fields as they need.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).parents[1] / "src" / "napari_surfseg"
MOST = 8
REASON = "Many parameters:"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _find_functions(
    body: list[ast.stmt], owner: ast.ClassDef | None = None
) -> Iterator[tuple[str, Function, str]]:
    """Find public functions, methods and constructors: name, definition, and what documents it."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _find_functions(node.body, node)
        elif isinstance(node, Function):
            is_constructor = owner is not None and node.name == "__init__"
            if node.name.startswith("_") and not is_constructor:
                continue
            name = node.name if owner is None else f"{owner.name}.{node.name}"
            documented = [node, owner] if is_constructor and owner is not None else [node]
            yield name, node, "\n".join(ast.get_docstring(item) or "" for item in documented)


def _count_parameters(function: Function, *, is_method: bool) -> int:
    """Count what a caller may pass; the object or class itself is none."""
    positional = [*function.args.posonlyargs, *function.args.args]
    if is_method and positional and positional[0].arg in ("self", "cls"):
        positional = positional[1:]
    return len(positional) + len(function.args.kwonlyargs)


def _find_long_lists(source: str) -> list[str]:
    return [
        f"{name} takes {count} parameters"
        for name, function, text in _find_functions(ast.parse(source).body)
        if (count := _count_parameters(function, is_method="." in name)) > MOST
        and REASON not in text
    ]


@pytest.mark.parametrize("folder", sorted(p.name for p in PACKAGE.iterdir() if p.is_dir()))
def test_a_long_list_of_parameters_gives_its_reason(folder: str) -> None:
    found = {
        str(path.relative_to(PACKAGE)): long
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if (long := _find_long_lists(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_modules_at_the_top_do_as_well() -> None:
    found = {
        path.name: _find_long_lists(path.read_text(encoding="utf-8"))
        for path in PACKAGE.glob("*.py")
    }
    assert {name: long for name, long in found.items() if long} == {}


def test_the_check_itself() -> None:
    nine = ", ".join("abcdefghi")
    assert _find_long_lists(f"def f({nine}): ...") == ["f takes 9 parameters"]
    assert _find_long_lists(f"def f(a, *, {nine[3:]}): ...") == ["f takes 9 parameters"]
    assert _find_long_lists(f"def f({nine[:-3]}): ...") == []
    assert _find_long_lists(f"def _f({nine}): ...") == []
    assert _find_long_lists(f'def f({nine}):\n    """Do. {REASON} so."""') == []
    method = f"class C:\n    def __init__(self, {nine}): ..."
    assert _find_long_lists(method) == ["C.__init__ takes 9 parameters"]
    assert _find_long_lists(method.replace("C:", f'C:\n    """{REASON} so."""\n')) == []
    assert _find_long_lists(f"class C:\n    def f(self, {nine[:-3]}): ...") == []
    assert _find_long_lists(f"class _C:\n    def f(self, {nine}): ...") == []
