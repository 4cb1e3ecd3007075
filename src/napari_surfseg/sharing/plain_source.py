"""Our classes as one source file that needs nothing of this package.

A network that is shared must run where this package is not installed, and its code must be plain
to read there. So the classes and functions it is made of are copied out of their modules, with
what they use of ours, in an order in which each comes after what it needs.
"""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    import torch

__all__ = ["write_network_source", "write_plain_source"]

#: Which module builds a network from its numbers; each imports the library of its own.
PLAIN_MODULES = {
    "SurfaceUNet": "plain_network",
    "MonaiNetwork": "plain_monai",
    "NnunetNetwork": "plain_nnunet",
}
OURS = __name__.partition(".")[0]


def write_network_source(network: torch.nn.Module) -> str:
    """Return the source of ``build_network``, which builds a network from its numbers."""
    name = PLAIN_MODULES[type(network).__name__]
    build = import_module(f"napari_surfseg.sharing.{name}").build_network
    return write_plain_source("The network, built from plain numbers.", build)


def write_plain_source(title: str, *wanted: Callable[..., Any]) -> str:
    """Return the source of classes and functions of this package with all that they use of it.

    Parameters
    ----------
    title : str
        First line of the file's docstring.
    *wanted : class or function
        Defined at the top of a module of this package.

    Raises
    ------
    ValueError
        If two modules use one name for different things, or a function imports of this package
        by itself; both are for us to mend.
    """
    collected = _Collected()
    for item in wanted:
        collected.add(import_module(item.__module__), item.__name__)
    imports = "\n".join(sorted(_write_import(*item) for item in collected.imports.items()))
    definitions = "\n\n\n".join(collected.definitions.values())
    return (
        f'"""{title}\n\nWritten by napari-surfseg; SPDX-License-Identifier: BSD-3-Clause.\n"""\n\n'
        f"from __future__ import annotations\n\n{imports}\n\n{definitions}\n"
    )


class _Collected:
    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {}
        self.definitions: dict[str, str] = {}
        self._origins: dict[str, str] = {}
        self._modules: dict[str, _Module] = {}

    def add(self, module: ModuleType, name: str) -> None:
        """Add what a module calls ``name``, after what it needs itself."""
        known = self._modules.setdefault(module.__name__, _Module(module))
        if name in known.imported:
            source, original = known.imported[name]
            if source.partition(".")[0] != OURS:
                self.imports.setdefault(source, set()).add(known.import_parts[name])
            elif original == name:
                self.add(import_module(source), name)
            else:
                raise ValueError(f"{module.__name__} imports {original} under another name")
            return
        if name not in known.nodes:
            return  # a builtin, or a name of its own
        origin = self._origins.setdefault(name, module.__name__)
        if origin != module.__name__:
            raise ValueError(f"{origin} and {module.__name__} both define {name}")
        if name in self.definitions:
            return
        self.definitions[name] = ""  # no second visit
        node = known.nodes[name]
        for used in _names_used(node):
            if used != name:
                self.add(module, used)
        del self.definitions[name]
        self.definitions[name] = known.source_of(node)


class _Module:
    """The top level of one module."""

    def __init__(self, module: ModuleType) -> None:
        path = Path(inspect.getsourcefile(module) or "")
        self._lines = path.read_text(encoding="utf-8").splitlines()
        self.nodes: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        self.import_parts: dict[str, str] = {}
        body = ast.parse("\n".join(self._lines)).body
        for node in body:
            match node:
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    body += node.body
                case ast.ClassDef() | ast.FunctionDef():
                    self.nodes[node.name] = node
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name))
                ):
                    self.nodes[name] = node
                case ast.Assign(targets=[ast.Tuple(elts=names)]):
                    self.nodes |= {item.id: node for item in names if isinstance(item, ast.Name)}
                case ast.ImportFrom(module=str(source), names=names):
                    for item in names:
                        self._note(item, source, item.name, ast.unparse(item))
                case ast.Import(names=names):
                    for item in names:
                        self._note(item, item.name, item.name, "")
                case _:
                    pass

    def _note(self, item: ast.alias, source: str, original: str, part: str) -> None:
        name = item.asname or item.name
        self.imported[name] = (
            (f"{source} as {name}" if item.asname and not part else source),
            original,
        )
        self.import_parts[name] = part

    def source_of(self, node: ast.stmt) -> str:
        """Return the lines of a definition with its decorators and the comment above it."""
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(item.lineno for item in decorators)]) - 1
        while first and self._lines[first - 1].startswith("#"):
            first -= 1
        return "\n".join(self._lines[first : node.end_lineno])


def _names_used(node: ast.stmt) -> list[str]:
    found: dict[str, None] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.setdefault(part.id)
        elif isinstance(part, ast.ImportFrom) and (part.module or "").partition(".")[0] == OURS:
            raise ValueError(f"{part.module} is imported within a function")
    return list(found)


def _write_import(source: str, parts: set[str]) -> str:
    lines = [f"import {source}"] if "" in parts else []
    taken = ", ".join(sorted(parts - {""}))
    return "\n".join([*lines, f"from {source} import {taken}"] if taken else lines)
