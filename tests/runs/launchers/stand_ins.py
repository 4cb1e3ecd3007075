"""A pretended cluster: ``ssh``, ``sbatch``, ``squeue`` and ``scancel`` as programs on the PATH.

They keep their jobs in a folder, and start real processes in sessions of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]

SBATCH = """
mode = (place / "mode").read_text()
if mode == "fail":
    sys.exit("sbatch: error: Batch job submission failed: Invalid account")
if mode == "hang":
    time.sleep(60)
if mode == "silent":
    sys.exit(0)
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if a.startswith("--") and "=" in a)
number = 4711 + len(list(place.glob("*.json")))
job = {"state": "PENDING", "script": sys.argv[-1], **options}
(place / f"{number}.json").write_text(json.dumps(job))
if mode == "run":
    start(number)
print(f"{number};cluster")
"""

SQUEUE = """
if (place / "mode").read_text() == "deaf":
    sys.exit("squeue: error: Unable to contact slurm controller")
path = place / (sys.argv[sys.argv.index("--jobs") + 1] + ".json")
if not path.exists():
    sys.exit("slurm_load_jobs error: Invalid job id specified")
job = json.loads(path.read_text())
if job["state"] == "RUNNING" and not is_alive(job["pid"]):
    job["state"] = ""
if job["state"]:
    print(job["state"], "Resources" if job["state"] == "PENDING" else "None")
"""

SCANCEL = """
path = place / (sys.argv[1] + ".json")
job = json.loads(path.read_text())
if job["state"] == "RUNNING":
    os.kill(job["pid"], signal.SIGTERM)
path.write_text(json.dumps({**job, "state": ""}))
"""

#: Like sshd it hands the one line it is given to a shell, in a session of its own.
SSH = """
if (place / "mode").read_text() == "hang":
    time.sleep(60)
if (place / "mode").read_text() == "fail":
    sys.exit("ssh: connect to host workstation port 22: No route to host")
line = sys.argv[sys.argv.index("me@workstation") + 1]
done = subprocess.run(["/bin/sh", "-c", line], cwd="/", start_new_session=True)
sys.exit(done.returncode)
"""

WORKER = """
import sys
sys.path[:0] = [{root!r}, {source!r}]
from napari_surfseg.cli import train
from napari_surfseg.runs.worker import worker
from tests.runs.conftest import FakeTrainer

real = worker.run_training
worker.run_training = lambda *call, **given: real(
    *call,
    **given,
    build_trainer=lambda experiment, **more: FakeTrainer(experiment, **more, seconds=0.25),
    with_report=False,
)
from napari_surfseg.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

HEAD = """#!{python}
import json, os, pathlib, signal, subprocess, sys, time
place = pathlib.Path({place!r})
sys.path.insert(0, {here!r})
from stand_ins import is_alive
from stand_ins import start_job
start = lambda number: start_job(place, number)
"""


class Cluster:
    """The pretended programs, and the jobs they were given.

    Parameters
    ----------
    place : Path
        Holds the jobs; ``bin`` in it belongs on the PATH.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.bin = place / "bin"
        self.bin.mkdir(parents=True)
        self.set_mode("wait")
        head = HEAD.format(python=sys.executable, place=str(place), here=str(ROOT / HERE))
        for name, text in (
            *(("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL), ("ssh", SSH)),
            ("begin", "start(int(sys.argv[1]))"),
        ):
            (self.bin / name).write_text(head + text)
            (self.bin / name).chmod(0o755)
        self.worker = place / "fake worker.py"
        self.worker.write_text(WORKER.format(root=str(ROOT), source=str(ROOT / "src")))

    def set_mode(self, mode: str) -> None:
        """Make the programs behave: wait, run, fail, hang, silent, deaf."""
        (self.place / "mode").write_text(mode)

    def start(self, number: int) -> None:
        """Let a job that waits begin."""
        subprocess.run([self.bin / "begin", str(number)], check=True)

    def forget(self) -> None:
        """Forget all jobs, as a scheduler does after a while."""
        for path in self.place.glob("*.json"):
            path.unlink()

    def state(self, number: int) -> str:
        """Return what the cluster thinks of a job."""
        return str(json.loads((self.place / f"{number}.json").read_text())["state"])

    def end(self) -> None:
        """End every job that runs."""
        for path in self.place.glob("*.json"):
            pid = json.loads(path.read_text()).get("pid")
            if pid and is_alive(pid):
                os.killpg(pid, signal.SIGKILL)


HERE = Path(__file__).parent.relative_to(ROOT)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody waits for does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def start_job(place: Path, number: int) -> None:
    """Start a job's script as a scheduler does: elsewhere, detached, output into its file."""
    path = place / f"{number}.json"
    job = json.loads(path.read_text())
    with Path(job["output"]).open("ab") as output:
        process = subprocess.Popen(
            [shutil.which("bash") or "/bin/bash", job["script"]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=job["chdir"],
            start_new_session=True,
        )
    path.write_text(json.dumps({**job, "state": "RUNNING", "pid": process.pid}))


def wait_until(is_so, seconds: float = 30.0):
    """Wait for something to become true; returns it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = is_so()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
