"""A run says beforehand where memory is short, and afterwards whether it was estimated well."""

import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.runs.event_text import describe_event
from napari_surfseg.training import assembly, memory_check
from napari_surfseg.training.memory_estimate import RunMemory
from napari_surfseg.training.rung import Rung


@pytest.fixture
def experiment(experiment):
    return apply_overrides(
        experiment,
        ["data.validation.fraction=0", "preview.seconds=0", "training.train_batch_size=1"],
    )


def memory_warnings(run):
    return [one.message for one in run.of(events.WarningIssued) if "of memory" in one.message]


def test_short_memory_is_said_before_the_first_step(
    tmp_path, training_run, experiment, monkeypatch
):
    monkeypatch.setattr(memory_check, "find_free_memory", lambda: 1000)
    run = training_run(tmp_path, experiment).run()
    (said,) = memory_warnings(run)
    assert "1000 B are free" in said
    kinds = [type(event) for event in run.events]
    assert kinds.index(events.WarningIssued) < kinds.index(events.StepFinished)
    assert kinds[-1] is events.RunCompleted


def test_nothing_is_said_where_there_is_enough(tmp_path, training_run, experiment):
    run = training_run(tmp_path, experiment).run()
    assert not memory_warnings(run)
    (measured,) = run.of(events.MemoryMeasured)
    assert measured.step == memory_check.MEASURED_STEPS
    (line,) = describe_event(measured)
    assert "the first steps took" in line
    assert "were estimated" in line


def test_more_than_was_estimated_is_said(tmp_path, training_run, experiment, monkeypatch):
    peaks = iter([0, 2**40])
    monkeypatch.setattr(memory_check, "measure_peak", lambda: next(peaks))
    (said,) = memory_warnings(training_run(tmp_path, experiment).run())
    assert "more than the" in said


def test_what_the_process_took_earlier_does_not_count(
    tmp_path, training_run, experiment, monkeypatch
):
    monkeypatch.setattr(memory_check, "measure_peak", lambda: 2**40)
    assert not memory_warnings(training_run(tmp_path, experiment).run())


def test_a_resumed_run_is_estimated_for_what_it_goes_on_with(
    tmp_path, training_run, experiment, monkeypatch
):
    """Not for what its configuration says, of which memory ran out."""
    seen = []
    real = RunMemory.warn
    monkeypatch.setattr(
        RunMemory, "warn", lambda memory, rung, free: seen.append(rung) or real(memory, rung, free)
    )
    training_run(tmp_path, experiment).run()
    real_find = assembly._find_rung
    monkeypatch.setattr(assembly, "_find_rung", lambda *args: real_find(*args).lower(4))
    longer = apply_overrides(experiment, ["training.max_epochs=3"])
    run = training_run(tmp_path, longer, resume=True).run()
    assert seen == [Rung((16, 32, 32), 1), seen[0].lower(4)]
    assert run.parts.rung == seen[1]
