"""Controllers hold no widget: they are imported and tested where no window can be opened."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
#: Their tests stand on mocks of the protocols, with nothing of Qt but signals and timers.
TESTS = ("controller", "form_controller", "network_estimate", "start", "steering")

IMPORTER = """
import importlib, json, sys
found = {}
for name in json.load(sys.stdin):
    importlib.import_module(name)
    if any(known.endswith(".QtWidgets") for known in sys.modules):
        found = name
        break
print(json.dumps(found))
"""


def run(*command, **options):
    environment = {**os.environ, "QT_QPA_PLATFORM": "none", "PYTHONPATH": str(SOURCE)}
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(display, None)
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        **options,
    )


def test_controllers_import_no_widgets():
    paths = sorted((SOURCE / "napari_surfseg" / "gui").rglob("*controller.py"))
    assert len(paths) > 8
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths]
    result = run("-c", IMPORTER, input=json.dumps(names))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == {}


def test_the_training_dock_is_tested_without_a_window():
    tests = [f"tests/gui/training/test_{name}.py" for name in TESTS]
    # Any application would abort the process: there is no such platform.
    result = run(
        *("-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={ROOT}", "--import-mode=importlib"),
        *("--noconftest", "-p", "no:pytest-qt", "-p", "no:cacheprovider", "-W", "ignore", *tests),
    )
    assert result.returncode == 0, result.stdout + result.stderr
