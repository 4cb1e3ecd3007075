import pytest

from napari_surfseg.runs.follow import RunSnapshot
from napari_surfseg.runs.train_longer import extend_run


@pytest.mark.parametrize(
    ("amount", "unit", "minutes", "epochs"),
    [(7, "minutes", 12, None), (2.4, "epochs", None, 6), (0.2, "epochs", None, 5)],
)
def test_a_run_gets_a_later_end_in_one_unit(folder, amount, unit, minutes, epochs):
    before = folder.read_experiment()
    extend_run(folder.path, RunSnapshot(epoch=4, elapsed_seconds=300.0), amount, unit)
    training = folder.read_experiment().training
    assert (training.max_minutes, training.max_epochs) == (minutes, epochs)
    assert training.early_stopping is None
    assert folder.read_experiment().data == before.data
