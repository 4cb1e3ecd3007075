"""Run the quick tests from a built wheel on every Python and Qt binding that can be had here.

For every interpreter from 3.11 on that is found (on the PATH, of pyenv, of uv) a virtual
environment is made in ``build/wheels``, the wheel and the tests' tools are installed into it,
and the quick tests run once with PyQt6 and once with PySide6. What was not found is said, since
a matrix with holes is easily taken for a whole one.

``python tools/test_matrix.py [--python 3.12]... [--binding pyside6]... [-- pytest arguments]``
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from wheels import ROOT, WORK, build_wheel, install, make_environment

BINDINGS = {"pyqt6": "PyQt6", "pyside6": "PySide6"}
#: Those of the classifiers in pyproject.toml; newer ones are used where they are found.
EXPECTED = ("3.11", "3.12", "3.13")
OLDEST = (3, 11)
#: The pins are those of one Python and one binding; what the matrix adds takes its newest version.
CONSTRAINTS = ROOT / "constraints.txt"


def main() -> int:
    """Run the matrix; the exit status is the number of failures, at most 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--python", action="append", metavar="3.X", help="only this version")
    parser.add_argument(
        "--binding", action="append", choices=list(BINDINGS), help="only this Qt binding"
    )
    parser.add_argument("pytest", nargs="*", help="passed on to pytest, after --")
    options = parser.parse_args()
    found = find_interpreters()
    wanted = options.python or sorted({*EXPECTED, *found}, key=_version)
    wheel = build_wheel()
    rows = []
    for version in wanted:
        if version not in found:
            rows.append((version, "-", "not found"))
            continue
        python = prepare(version, found[version], wheel)
        for binding in options.binding or BINDINGS:
            outcome = "installation failed" if python is None else run(python, binding, options)
            rows.append((version, binding, outcome))
    print("\nPython   binding   outcome")
    for version, binding, outcome in rows:
        print(f"{version:8} {binding:9} {outcome}")
    return int(any(outcome not in {"passed", "not found"} for *_, outcome in rows))


def find_interpreters() -> dict[str, str]:
    """Return the interpreters found, by version such as ``3.12``."""
    candidates = [shutil.which(f"python3.{minor}") for minor in range(OLDEST[1], 30)]
    candidates += [shutil.which("python3"), sys.executable]
    for root in (
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",
        Path.home() / ".local" / "share" / "uv" / "python",
    ):
        candidates += [str(path) for path in sorted(root.glob("*/bin/python3"))]
    found: dict[str, str] = {}
    for candidate in filter(None, candidates):
        version = _ask_version(candidate)
        if version and _version(version) >= OLDEST:
            found.setdefault(version, candidate)
    return found


def prepare(version: str, interpreter: str, wheel: Path) -> str | None:
    """Make a virtual environment with the wheel and both bindings; None where that fails."""
    # What is pinned for one Python cannot always be had for another: there the ranges decide.
    pins = CONSTRAINTS if version == _ask_version(sys.executable) else _pin_torch_only()
    print(f"== Python {version}: {interpreter}", flush=True)
    try:
        python = make_environment(f"python{version}", interpreter)
        install(python, f"{wheel}[dev]", *BINDINGS.values(), pins=pins)
        install(python, "--force-reinstall", "--no-deps", str(wheel))
    except subprocess.CalledProcessError:
        return None
    return python


def run(python: str, binding: str, options: argparse.Namespace) -> str:
    """Run the quick tests with one binding against the installed wheel."""
    print(f"== {Path(python).parents[1].name}, {BINDINGS[binding]}", flush=True)
    environment = {**os.environ, "QT_API": binding, "PYTHONSAFEPATH": "1"}
    environment.pop("PYTHONPATH", None)
    command = [python, "-m", "pytest", "-q", "-o", f"qt_api={binding}", *options.pytest]
    if os.name != "nt":
        command = [str(ROOT / "tools" / "with_display.sh"), *command]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return "passed" if done.returncode == 0 else f"failed (exit status {done.returncode})"


def _pin_torch_only() -> Path:
    path = WORK / "constraints.txt"
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if line.startswith("torch==")) + "\n")
    return path


def _ask_version(interpreter: str) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [interpreter, "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def _version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


if __name__ == "__main__":
    sys.exit(main())
