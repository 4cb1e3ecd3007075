"""Build this project's wheel and install it into virtual environments of its own.

Needs nothing but Python: what builds is installed in ``build/wheels``, beside what is built.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["ROOT", "SCRIPTS", "WORK", "build_wheel", "install", "make_environment"]

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "wheels"
#: Where a virtual environment keeps its programs.
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def build_wheel(*, outdir: Path = WORK / "dist", with_source: bool = False) -> Path:
    """Build the wheel of the working tree, alone in ``outdir``; return its path.

    Parameters
    ----------
    outdir : Path
        Replaced.
    with_source : bool
        Also the source distribution, from which the wheel is then made.
    """
    python = make_environment("builder", sys.executable)
    install(python, "build")
    shutil.rmtree(outdir, ignore_errors=True)
    kinds = [] if with_source else ["--wheel"]
    command = [python, "-m", "build", *kinds, "--outdir", str(outdir), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [wheel] = outdir.glob("*.whl")
    return wheel


def make_environment(name: str, interpreter: str) -> str:
    """Make the virtual environment ``name`` if it is not there; return its interpreter."""
    folder = WORK / name
    python = folder / SCRIPTS / ("python.exe" if os.name == "nt" else "python")
    if not python.exists():
        subprocess.run([interpreter, "-m", "venv", str(folder)], check=True)
    return str(python)


def install(python: str, *arguments: str, pins: Path | None = None) -> None:
    """Install with pip, under the versions of ``pins``.

    Raises
    ------
    subprocess.CalledProcessError
        If pip could not.
    """
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = [] if pins is None else ["-c", str(pins)]
    subprocess.run([*command, *constraints, *arguments], check=True)
