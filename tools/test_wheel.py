"""Do what a new user does: install the wheel, nothing else; predict without a run, and the demo.

``python tools/test_wheel.py``; the demo trains for a few seconds, in a folder of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from wheels import ROOT, build_wheel, install, make_environment

MINUTES = "0.2"


def main() -> int:
    """Build, install, run; return the demo's exit status."""
    wheel = build_wheel()
    python = make_environment("plain", sys.executable)
    install(python, str(wheel), pins=ROOT / "constraints.txt")
    install(python, "--force-reinstall", "--no-deps", str(wheel))
    with tempfile.TemporaryDirectory() as folder:
        run = [python, "-P", "-m", "napari_surfseg"]
        for arguments in (
            ["phantom", "scroll", "--shape", "128,128,128"],
            ["predict", "scroll/image.zarr", "--output", "surfaces.tif"],
        ):
            done = subprocess.run([*run, *arguments], cwd=folder, check=False)
            if done.returncode:
                return done.returncode
        surfseg = [python, "-P", "-m", "napari_surfseg", "demo", "--minutes", MINUTES]
        done = subprocess.run(surfseg, cwd=folder, check=False)
        if done.returncode:
            return done.returncode
        if not list(Path(folder).rglob("best.pt")):
            print("The demo ended well, but left no checkpoint.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
