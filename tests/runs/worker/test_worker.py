import errno
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace

import pytest

from napari_surfseg import events
from napari_surfseg.config import Data, PhantomData
from napari_surfseg.data.phantom.scroll import ScrollPhantom
from napari_surfseg.errors import (
    CheckpointError,
    ConfigError,
    RunBusyError,
    RunError,
    TrainingError,
)
from napari_surfseg.files import written_aside
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.lock import (
    create_exclusively,
    describe_this_worker,
    is_alive,
    read_worker,
    write_worker,
)
from napari_surfseg.runs.worker.command_source import CommandSource
from napari_surfseg.runs.worker.worker import run_training


def kinds(folder):
    return [type(event) for event in events.read_events(folder.events_path)]


def terminal(folder):
    found = [
        e for e in events.read_events(folder.events_path) if isinstance(e, events.TERMINAL_EVENTS)
    ]
    assert len(found) == 1
    assert isinstance(events.read_events(folder.events_path)[-1], events.TERMINAL_EVENTS)
    return found[0]


def log(folder):
    return folder.log_path.read_text(encoding="utf-8")


class Recorder:
    def __init__(self):
        self.lines, self.events = [], []

    def show_line(self, text):
        self.lines.append(text)

    def show_event(self, event):
        self.events.append(event)


def test_a_run_from_start_to_end(folder, fake_trainer):
    console = Recorder()
    run_training(folder.path, device="cpu", build_trainer=fake_trainer(), console=console)
    ending = terminal(folder)
    assert isinstance(ending, events.RunCompleted)
    assert ending.step == 12
    seqs = [event.seq for event in events.read_events(folder.events_path)]
    assert seqs == list(range(len(seqs)))
    assert [type(event) for event in console.events] == kinds(folder)
    assert not folder.worker_path.exists()
    assert folder.report_path.exists()
    environment = json.loads(folder.environment_path.read_text())
    assert environment["packages"]["torch"]
    assert environment["device_asked"] == environment["device"] == "cpu"
    assert environment["precision"] == "float32"
    text = log(folder)
    for wanted in (
        "run 'try' started",
        "epoch 3  total 1.500",
        "toploss_simple 0.430",
        "4 steps/s",
        "centred on the surface 65.0 %",
        "10 hits, 2 misses, 0 evictions",
        "surface_dice 0.9000",
        "** best so far by surface_dice **",
        "completed after 3 epochs",
    ):
        assert wanted in text
        assert any(wanted in line for line in console.lines)


def test_what_is_printed_goes_into_the_log(folder, fake_trainer):
    def chatter(trainer, epoch, step):
        if step == 1:
            sys.stdout.write("a library says hello\n")
            sys.stderr.write("and complains\n")

    before = sys.stdout, sys.stderr
    run_training(folder.path, build_trainer=fake_trainer(script=chatter), with_report=False)
    assert (sys.stdout, sys.stderr) == before
    text = log(folder)
    assert "a library says hello" in text
    assert "and complains" in text
    assert all(line[:4].isdigit() for line in text.splitlines())


def fail_with(error):
    def script(trainer, epoch, step):
        if step == 6:
            raise error

    return script


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TrainingError("The loss term cldice became NaN."), 2, "The loss term cldice became NaN."),
        (
            MemoryError(),
            2,
            "There is not enough memory for patches of 64 × 64 × 64 in batches of 1",
        ),
        (OutOfMemoryError("CUDA out of memory. Tried"), 2, "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            2,
            "make data.patch_size or training.train_batch_size smaller",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "is full; free some space"),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file"), 2, "is full"),
        (
            OSError(errno.EIO, "Input/output error", "/data/scan.tif"),
            1,
            "/data/scan.tif could not be read or written: Input/output error.",
        ),
        (KeyError("oops"), 1, "failed unexpectedly with KeyError: 'oops'; the traceback is in"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_failure_is_one_sentence_and_one_event(folder, fake_trainer, error, code, words):
    with pytest.raises(
        RunError if not isinstance(error, TrainingError) else TrainingError
    ) as caught:
        run_training(
            folder.path, build_trainer=fake_trainer(script=fail_with(error)), with_report=False
        )
    sentence = str(caught.value)
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert caught.value.exit_code == code
    ending = terminal(folder)
    assert isinstance(ending, events.RunFailed)
    assert ending.message == sentence
    assert ending.step == 6
    assert ("Traceback" in log(folder)) == (code == 1)
    assert f"failed: {sentence}" in log(folder)
    assert not folder.worker_path.exists()


def test_a_failure_before_the_trainer_is_recorded_too(folder, fake_trainer):
    def build(experiment, **given):
        raise ConfigError("In config.yaml, data.patch_size does not fit.", field="data.patch_size")

    with pytest.raises(ConfigError):
        run_training(folder.path, build_trainer=build)
    assert terminal(folder).message == "In config.yaml, data.patch_size does not fit."
    assert terminal(folder).field == "data.patch_size"
    assert not folder.report_path.exists()


def test_a_trainer_that_forgets_to_end_is_a_failure(folder):
    class Forgetful:
        def run(self):
            pass

    with pytest.raises(RunError, match="without saying how"):
        run_training(folder.path, build_trainer=lambda experiment, **given: Forgetful())
    assert isinstance(terminal(folder), events.RunFailed)


def test_nothing_follows_the_end(folder, fake_trainer):
    class Talkative:
        def __init__(self, emit):
            self.emit = emit

        def run(self):
            self.emit(events.RunCompleted(epoch=1, elapsed_seconds=1.0))
            self.emit(events.WarningIssued(message="too late"))
            raise ValueError("after the end")

    with pytest.raises(RunError, match="after the end"):
        run_training(folder.path, build_trainer=lambda e, *, emit, **given: Talkative(emit))
    assert isinstance(terminal(folder), events.RunCompleted)
    assert "after the end" in log(folder)


def test_an_empty_experiment_is_refused(folder, experiment, fake_trainer):
    empty = experiment.model_copy(update={"data": Data()})
    with pytest.raises(ConfigError, match=r"data\.train is empty"):
        run_training(folder.path, experiment=empty, build_trainer=fake_trainer())
    assert isinstance(terminal(folder), events.RunFailed)


def test_a_busy_run_is_left_untouched(folder, fake_trainer):
    worker = describe_this_worker(os.getppid())
    write_worker(folder.worker_path, worker)
    before = sorted(path.name for path in folder.path.iterdir())
    with pytest.raises(RunBusyError, match=f"process {os.getppid()} on"):
        run_training(folder.path, build_trainer=fake_trainer())
    assert sorted(path.name for path in folder.path.iterdir()) == before


def test_the_run_is_held_while_it_trains(folder, fake_trainer):
    holders = []

    def look(trainer, epoch, step):
        holders.append(read_worker(folder.worker_path))

    run_training(folder.path, build_trainer=fake_trainer(script=look), with_report=False)
    assert {holder.pid for holder in holders} == {os.getpid()}
    assert all(is_alive(holder) for holder in holders)


def test_a_run_that_failed_late_is_reported(folder, fake_trainer):
    script = fail_with(TrainingError("The loss term cldice became NaN."))
    with pytest.raises(TrainingError):
        run_training(folder.path, build_trainer=fake_trainer(script=script))
    assert "**failed** (The loss term cldice became NaN)" in folder.report_path.read_text()


def test_resuming_needs_a_checkpoint(folder, fake_trainer):
    with pytest.raises(RunError, match=r"cannot be resumed: there is no .*last\.pt\.$"):
        run_training(folder.path, resume=True, build_trainer=fake_trainer())
    assert [path.name for path in folder.path.iterdir()] == ["config.yaml"]


def test_resuming_goes_on_in_the_same_files(folder, fake_trainer):
    def stop(trainer, epoch, step):
        if step == 5:
            events.append_command(folder.commands_path, events.Stop())

    run_training(folder.path, build_trainer=fake_trainer(script=stop), with_report=False)
    assert isinstance(terminal(folder), events.RunStopped)
    run_training(folder.path, resume=True, build_trainer=fake_trainer(), with_report=False)
    found = events.read_events(folder.events_path)
    assert [event.seq for event in found] == list(range(len(found)))
    ends = [type(e) for e in found if isinstance(e, events.TERMINAL_EVENTS)]
    assert ends == [events.RunStopped, events.RunCompleted]


def test_commands_of_an_earlier_worker_are_refused(folder, fake_trainer):
    def stop(trainer, epoch, step):
        if step == 5:
            events.append_command(folder.commands_path, events.Stop())

    run_training(folder.path, build_trainer=fake_trainer(script=stop), with_report=False)
    late = events.Stop(time=time.time() - 10_000)  # sent after it ended, before this process
    events.append_command(folder.commands_path, late)
    answered = events.read_commands(folder.commands_path)[0]
    # Make the answered one old as well: it must not be answered twice.
    lines = folder.commands_path.read_text().replace(str(answered.time), str(late.time))
    folder.commands_path.write_text(lines)
    run_training(folder.path, resume=True, build_trainer=fake_trainer(), with_report=False)
    found = events.read_events(folder.events_path)
    refused = [event for event in found if isinstance(event, events.CommandRefused)]
    assert [event.command_id for event in refused] == [late.id]
    assert "before this worker started" in refused[0].message
    assert isinstance(found[-1], events.RunCompleted)


def test_an_old_stop_does_not_end_a_fresh_start(folder, fake_trainer):
    """A run that was refused is started again, not resumed: it has no checkpoint."""

    def stop(trainer, epoch, step):
        if step == 2:
            events.append_command(folder.commands_path, events.Stop())

    run_training(folder.path, build_trainer=fake_trainer(script=stop), with_report=False)
    folder.last_checkpoint.unlink(missing_ok=True)
    events.append_command(folder.commands_path, events.Stop())
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert kinds(folder)[-1] is events.RunCompleted


def test_a_command_sent_while_a_new_worker_starts_counts(folder, fake_trainer):
    events.append_command(folder.commands_path, events.Stop(time=time.time() - 10_000))
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert isinstance(terminal(folder), events.RunStopped)
    assert terminal(folder).step == 1


def test_painted_labels_are_found_from_anywhere(folder, tmp_path, monkeypatch):
    """A watcher writes paths as they are in the run folder; the trainer gets them in full."""
    monkeypatch.chdir(tmp_path)
    command = events.UpdateLabels(labels="a.zarr", strokes="inputs/strokes/1.npz")
    events.append_command(folder.commands_path, command)
    source = CommandSource(folder, threading.Event(), lambda event: None)
    (given,) = source()
    assert given == replace(command, strokes=str(folder.strokes.resolve() / "1.npz"))


@pytest.mark.parametrize("place", ["../mine.npz", "inputs/a.zarr", "inputs/strokes/../../last.pt"])
def test_strokes_from_anywhere_else_are_refused_and_left_alone(folder, place):
    command = events.UpdateLabels(labels="a.zarr", strokes=place)
    events.append_command(folder.commands_path, command)
    said = []
    assert CommandSource(folder, threading.Event(), said.append)() == []
    assert [event.command_id for event in said] == [command.id]
    assert said[0].message.startswith(f"The strokes {place} do not lie in ")


def test_strokes_with_a_full_path_are_refused(folder, tmp_path):
    mine = tmp_path / "mine.npz"
    mine.touch()
    events.append_command(
        folder.commands_path, events.UpdateLabels(labels="a.zarr", strokes=str(mine))
    )
    said = []
    assert CommandSource(folder, threading.Event(), said.append)() == []
    assert len(said) == 1
    assert mine.exists()


def test_a_stop_while_the_synthetic_scroll_is_made_leaves_nothing_of_it(
    folder, experiment, fake_trainer, monkeypatch
):
    monkeypatch.setattr("napari_surfseg.training.stop_listener.LISTEN_SECONDS", 0)
    data = Data(phantom=PhantomData(shape=(64, 64, 192)))
    begun, real = [], ScrollPhantom.compute_box

    def compute(*given):
        begun.append(given)
        events.append_command(folder.commands_path, events.Stop())
        return real(*given)

    monkeypatch.setattr(ScrollPhantom, "compute_box", compute)
    run_training(
        folder.path,
        experiment=experiment.model_copy(update={"data": data}),
        build_trainer=fake_trainer(),
    )
    assert len(begun) == 1
    assert kinds(folder) == [events.CommandApplied, events.RunStopped]
    assert not folder.phantom.exists() or not list(folder.phantom.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="signals are sent with os.kill")
def test_a_signal_stops_cleanly(folder, fake_trainer):
    def interrupt(trainer, epoch, step):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

    run_training(folder.path, build_trainer=fake_trainer(script=interrupt), with_report=False)
    ending = terminal(folder)
    assert isinstance(ending, events.RunStopped)
    assert ending.step == 5
    assert folder.last_checkpoint.exists()
    assert "stopping; interrupt again" in log(folder)


def test_a_full_disk_ends_the_run_with_its_sentence(folder, fake_trainer, monkeypatch):
    write = events.EventWriter.write

    def fill_up(self, event, **given):
        if event.step >= 6 and not isinstance(event, events.RunFailed):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, event, **given)

    monkeypatch.setattr(events.EventWriter, "write", fill_up)
    with pytest.raises(RunError, match="is full"):
        run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert "is full" in terminal(folder).message


def test_a_disk_too_full_for_the_last_word(folder, fake_trainer, monkeypatch):
    write = events.EventWriter.write

    def fill_up(self, event, **given):
        if event.step >= 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, event, **given)

    monkeypatch.setattr(events.EventWriter, "write", fill_up)
    with pytest.raises(RunError, match="is full"):
        run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert not folder.worker_path.exists()
    assert "is full" in log(folder)


def test_a_worker_that_lost_its_run_stops_and_leaves_it_alone(folder, fake_trainer):
    """It was suspended, say, and another machine took the run meanwhile."""
    theirs = replace(describe_this_worker(), host="elsewhere", pid=4711)
    kept = {}

    def lose(trainer, epoch, step):
        if step == 5:
            folder.worker_path.rename(folder.path / "aside.json")
            create_exclusively(folder.worker_path, theirs)
            kept.update(contents(folder))
            with pytest.raises(RunBusyError):
                save_any_file(folder.last_checkpoint)

    with pytest.raises(RunBusyError, match="was taken over by process 4711 on elsewhere"):
        run_training(folder.path, build_trainer=fake_trainer(script=lose))
    assert kept
    assert contents(folder) == kept


def test_a_worker_that_lost_its_run_leaves_the_commands_to_the_new_one(folder, fake_trainer):
    applied = []

    def lose(trainer, epoch, step):
        if step == 5:
            folder.worker_path.rename(folder.path / "aside.json")
            create_exclusively(folder.worker_path, replace(describe_this_worker(), pid=4711))
            events.append_command(folder.commands_path, events.Stop())
            applied.extend(trainer.poll())

    with pytest.raises(RunBusyError, match="was taken over by process 4711"):
        run_training(folder.path, build_trainer=fake_trainer(script=lose))
    assert applied == []


def save_any_file(path):
    with written_aside(path) as temporary:
        temporary.write_bytes(b"theirs is newer")


def contents(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_what_a_killed_worker_left_half_written_goes(folder, fake_trainer):
    folder.checkpoints.mkdir()
    left = folder.checkpoints / ".last.pt.0123abcd.partial"
    left.touch()
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert not left.exists()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "Input/output error"), BrokenPipeError(), ValueError("closed file")],
    ids=lambda error: type(error).__name__,
)
def test_a_closed_terminal_ends_nothing(folder, fake_trainer, error):
    class Closed:
        def show_line(self, text):
            raise error

        def show_event(self, event):
            raise error

    run_training(folder.path, build_trainer=fake_trainer(), console=Closed(), with_report=False)
    assert isinstance(terminal(folder), events.RunCompleted)


def test_a_log_that_cannot_be_written_ends_nothing(folder, fake_trainer):
    folder.log_path.mkdir()
    run_training(folder.path, build_trainer=fake_trainer(), with_report=False)
    assert isinstance(terminal(folder), events.RunCompleted)


def test_events_that_cannot_be_written_for_a_while_end_nothing(folder, fake_trainer, monkeypatch):
    write = events.EventWriter.write

    def refuse(self, event, **given):
        if 3 <= event.step <= 6:
            raise OSError(errno.EROFS, "Read-only file system")
        return write(self, event, **given)

    def recover(trainer, epoch, step):
        if step == 7:
            monkeypatch.setattr(events.EventWriter, "write", write)

    monkeypatch.setattr(events.EventWriter, "write", refuse)
    run_training(folder.path, build_trainer=fake_trainer(script=recover), with_report=False)
    found = events.read_events(folder.events_path)
    assert isinstance(terminal(folder), events.RunCompleted)
    assert [e.epoch for e in found if isinstance(e, events.EpochFinished)] == [1, 2, 3]
    assert "training goes on" in log(folder)


def test_a_report_that_fails_does_not_fail_the_run(folder, fake_trainer, monkeypatch):
    from napari_surfseg.runs.report import page as report

    def broken(run_dir):
        raise ValueError("no ink")

    monkeypatch.setattr(report, "write_report", broken)
    run_training(folder.path, build_trainer=fake_trainer())
    assert isinstance(terminal(folder), events.RunCompleted)
    assert "the report could not be written: no ink" in log(folder)


def test_a_changed_experiment_is_written_once_the_folder_is_held(folder, fake_trainer):
    experiment = folder.read_experiment()
    longer = experiment.model_copy(
        update={"training": experiment.training.model_copy(update={"max_epochs": 4})}
    )
    run_training(folder.path, experiment=longer, build_trainer=fake_trainer(), with_report=False)
    assert folder.read_experiment() == longer
    assert terminal(folder).epoch == 4


def start_from(folder, path):
    experiment = folder.read_experiment()
    model = experiment.model.model_copy(update={"start_from": str(path)})
    return experiment.model_copy(update={"model": model})


def test_the_trainer_is_given_the_checkpoint_of_the_run_that_it_starts_from(
    folder, fake_trainer, tmp_path
):
    other = RunFolder(tmp_path / "other")
    other.checkpoints.mkdir(parents=True)
    other.best_checkpoint.write_bytes(b"weights")
    given = []

    def build(experiment, **options):
        given.append(experiment.model.start_from)
        return fake_trainer()(experiment, **options)

    wanted = start_from(folder, other.path)
    run_training(folder.path, experiment=wanted, build_trainer=build, with_report=False)
    assert given == [str(other.best_checkpoint)]
    assert folder.read_experiment().model.start_from == str(other.path)
    # A run that is resumed has weights of its own.
    other.best_checkpoint.unlink()
    run_training(folder.path, resume=True, build_trainer=build, with_report=False)
    assert given[1:] == [str(other.path)]


def test_a_start_without_a_checkpoint_is_refused_by_its_setting(folder, fake_trainer, tmp_path):
    wanted = start_from(folder, tmp_path)
    with pytest.raises(
        CheckpointError, match=r"^The network cannot start from model\.start_from: "
    ):
        run_training(folder.path, experiment=wanted, build_trainer=fake_trainer())
    assert terminal(folder).field == "model.start_from"
