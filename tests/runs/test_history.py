"""Events put in order: resumptions, and runs that were started again."""

import numpy as np

from napari_surfseg import events
from napari_surfseg.runs.history import read_history


def test_a_resumption_drops_what_was_lost(folder, make):
    writer = events.EventWriter(folder.events_path)

    def take(number):
        writer.write(
            events.StepFinished(
                step=number,
                epoch=1 + (number - 1) // 10,
                losses={"soft_dice": number / 100},
                head_total=1.0,
                total=1.0,
                learning_rate=1e-3,
                gradient_norm=1.0,
                steps_per_second=1.0,
                elapsed_seconds=float(number),
                progress=0.1,
            )
        )

    writer.write(make.started())
    for number in range(1, 16):
        take(number)
    writer.write(make.epoch(1))
    writer.write(make.started(step=10, epoch=1, resumed=True))  # back to the checkpoint of epoch 1
    for number in range(11, 21):
        take(number)
    writer.write(make.epoch(2))
    history = read_history(folder.path)
    assert [event.step for event in history.steps] == list(range(1, 21))
    at, values = history.step_values("soft_dice")
    np.testing.assert_allclose(at, np.arange(1, 21) / 10)
    np.testing.assert_allclose(values, np.arange(1, 21) / 100)
    assert len(history.starts) == 2


def test_starting_anew_forgets_the_first_try(folder, make):
    writer = events.EventWriter(folder.events_path)
    writer.write(events.WarningIssued(message="The voxels are not cubes."))
    writer.write(make.started())
    writer.write(make.epoch(1, 5.0))
    writer.write(make.started())
    writer.write(make.epoch(1, 1.0))
    history = read_history(folder.path)
    assert history.epoch_values("total")[1].tolist() == [1.0]
    assert history.warnings == ["The voxels are not cubes."]
