"""A real training while its disk is full, away, or read-only, and while the clock is set."""

import contextlib
import os
import sys
import time

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import SurfsegError
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.history import read_history
from napari_surfseg.runs.worker.worker import run_training
from napari_surfseg.training.trainer import Trainer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")]

LAST_STEP = 12


@pytest.fixture
def folder(tmp_path):
    """Make a run of three epochs of four steps, with a preview after every step."""
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    image = np.where(labels == 1, 140, 90) + rng.normal(0, 12, labels.shape)
    np.save(tmp_path / "image.npy", image.clip(0, 255).astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    settings = [
        f"data.train=[{{image: {tmp_path}/image.npy, labels: {tmp_path}/labels.npy}}]",
        "data.patch_size=[16,32,32]",
        "data.validation.fraction=0.3",
        "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
        "training={max_epochs: 3, train_iterations_per_epoch: 4, workers: 0, validation_share: 1}",
        "preview={seconds: 0.001, size: [16, 32, 32]}",
    ]
    return RunFolder(tmp_path / "run").create(apply_overrides(Experiment(), settings))


class Trouble:
    """Begins before the step after ``first`` and ends before that after ``last``."""

    def __init__(self, begin, end, first, last):
        self.begin, self.end, self.first, self.last = begin, end, first, last
        self.is_there = False

    def __call__(self, step):
        if step == self.first and not self.is_there:
            self.is_there = True
            self.begin()
        if step == self.last:
            self.stop()

    def stop(self):
        if self.is_there:
            self.is_there = False
            self.end()


def train(folder, trouble, *, resume=False):
    def build(experiment, *, poll_commands, **given):
        def poll():
            trouble(trainer.state.step)
            return poll_commands()

        trainer = Trainer(experiment, poll_commands=poll, **given)
        return trainer

    try:
        run_training(
            folder.path, device="cpu", resume=resume, build_trainer=build, with_report=False
        )
    finally:
        trouble.stop()


def full(folder, first, last):
    """Let no file grow beyond 2 kB: the system refuses the writes of all libraries alike."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    return Trouble(
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1])),
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before),
        first,
        last,
    )


def away(folder, first, last):
    """Take the folder away, as a network drive that was cut off."""
    elsewhere = folder.path.with_name("elsewhere")
    return Trouble(
        lambda: folder.path.rename(elsewhere), lambda: elsewhere.rename(folder.path), first, last
    )


def read_only(folder, first, last):
    folder.path.chmod(0o500)
    may_write = os.access(folder.path, os.W_OK)
    folder.path.chmod(0o700)
    if may_write:
        pytest.skip("this user may write to a read-only folder")
    places = [folder.path, folder.checkpoints, folder.previews]
    files = [folder.events_path, folder.log_path]

    def turn(*, writable):
        for place in places:
            place.chmod(0o700 if writable else 0o500)
        for file in files:
            file.chmod(0o600 if writable else 0o400)

    return Trouble(lambda: turn(writable=False), lambda: turn(writable=True), first, last)


KINDS = pytest.mark.parametrize("kind", [full, away, read_only], ids=lambda kind: kind.__name__)


def check_whole(folder):
    """Nothing in the folder is half-written or left over."""
    for name in ("best.pt", "last.pt"):
        load_checkpoint(folder.checkpoints / name)
    for path in folder.previews.glob("*.npy"):
        np.load(path)
    lines = folder.events_path.read_bytes()
    assert lines.endswith(b"\n")
    assert len(events.parse_events(lines.splitlines())) == lines.count(b"\n")
    assert not list(folder.path.rglob(".*"))


@KINDS
@pytest.mark.parametrize("first", [1, 3, 6])
def test_a_disk_in_trouble_for_a_while_ends_no_training(folder, kind, first):
    train(folder, kind(folder, first, first + 5))
    found = events.read_events(folder.events_path)
    assert isinstance(found[-1], events.RunCompleted)
    assert found[-1].step == LAST_STEP
    epochs = [event.epoch for event in found if isinstance(event, events.EpochFinished)]
    assert epochs == [1, 2, 3]
    assert any(isinstance(event, events.WarningIssued) for event in found)
    assert load_checkpoint(folder.last_checkpoint).step == LAST_STEP
    check_whole(folder)


@KINDS
def test_a_disk_in_trouble_to_the_end_says_so_and_can_be_resumed(folder, kind):
    with pytest.raises(SurfsegError) as caught:
        train(folder, kind(folder, 6, LAST_STEP + 100))
    assert str(caught.value).endswith(".")
    check_whole(folder)
    assert load_checkpoint(folder.last_checkpoint).step == 4, "the end of the first epoch"
    train(folder, Trouble(int, int, -1, -1), resume=True)
    history = read_history(folder.path)
    assert isinstance(history.ending, events.RunCompleted)
    assert sorted(history.epochs) == [1, 2, 3]
    check_whole(folder)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_clock_that_is_set_changes_nothing(folder, monkeypatch, hours):
    real = time.time
    set_clock = Trouble(
        lambda: monkeypatch.setattr(time, "time", lambda: real() + hours * 3600),
        lambda: monkeypatch.setattr(time, "time", real),
        3,
        9,
    )
    train(folder, set_clock)
    found = events.read_events(folder.events_path)
    assert isinstance(found[-1], events.RunCompleted)
    seconds = [event.elapsed_seconds for event in found if isinstance(event, events.EpochFinished)]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 600
    assert [event.seq for event in found] == list(range(len(found)))


def test_half_a_line_in_any_file_is_passed_over(folder):
    folder.commands_path.write_bytes(b'{"kind":"Stop","id":"ha')
    folder.events_path.write_bytes(b'{"kind":"RunStar')
    folder.log_path.write_bytes(b"half a li")
    train(folder, Trouble(int, int, -1, -1))
    found = events.read_events(folder.events_path)
    assert isinstance(found[-1], events.RunCompleted)
    check_whole(folder)


HUNG_UP = """
import sys
from napari_surfseg.cli.main import main
sys.exit(main(["train", sys.argv[1], "--device", "cpu"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hang-up")
def test_a_terminal_that_is_closed_stops_cleanly_with_its_checkpoint(folder):
    """The pseudo-terminal's other end closes: the system sends the hang-up itself."""
    import pty

    settings = folder.read_experiment()
    longer = settings.training.model_copy(update={"max_epochs": 10_000})
    folder.write_experiment(settings.model_copy(update={"training": longer}))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", HUNG_UP, str(folder.path)])
    until = time.monotonic() + 120
    while time.monotonic() < until and not folder.last_checkpoint.exists():
        with contextlib.suppress(OSError):
            os.set_blocking(terminal, False)
            os.read(terminal, 4096)
        time.sleep(0.1)
    os.close(terminal)
    os.waitpid(pid, 0)
    found = events.read_events(folder.events_path)
    ending = found[-1]
    assert isinstance(ending, events.RunStopped)
    assert load_checkpoint(folder.last_checkpoint).step == ending.step
    check_whole(folder)
    assert not folder.worker_path.exists()
