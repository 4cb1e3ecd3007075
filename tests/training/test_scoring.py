"""When a run is validated, and which weights are kept as the best."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from napari_surfseg.training.checkpoint_writer import CheckpointWriter
from napari_surfseg.training.reporting import Reporter
from napari_surfseg.training.scoring import Scoring
from napari_surfseg.training.state import TrainingState
from napari_surfseg.training.validation import ValidationResult, Validator


@pytest.fixture
def scoring():
    """Build the scoring of a run that gives a tenth of its time, with results to be set."""
    validator = Mock(spec=Validator)
    state = TrainingState(epoch=1)
    training = SimpleNamespace(validation_share=0.1, best_by="surface_dice")
    checkpoints = Mock(spec=CheckpointWriter)
    reporter = Mock(spec=Reporter)
    return SimpleNamespace(
        scoring=Scoring(validator, training, state, checkpoints, reporter),
        validator=validator,
        state=state,
        checkpoints=checkpoints,
        reporter=reporter,
    )


def result(metrics, *, is_sparse=False, seconds=1.0):
    return ValidationResult(metrics, 0.4, seconds, [], is_sparse=is_sparse)


def test_only_a_better_score_replaces_the_best_weights(scoring):
    for value in (0.5, 0.4, 0.6):
        scoring.validator.run.return_value = result({"surface_dice": value})
        scoring.scoring.validate(None)
    saved = [call.args[0]["surface_dice"] for call in scoring.checkpoints.save_best.call_args_list]
    assert saved == [0.5, 0.6]
    assert scoring.state.threshold == 0.4


def test_strokes_are_compared_by_dice(scoring):
    for dice in (0.5, 0.7):
        scoring.validator.run.return_value = result({"dice": dice}, is_sparse=True)
        scoring.scoring.validate(None)
    assert scoring.checkpoints.save_best.call_count == 2


def test_validation_keeps_within_its_share_of_the_time(scoring):
    scoring.state.elapsed = 15.0
    assert scoring.scoring.may_validate()
    scoring.validator.run.return_value = result({"surface_dice": 0.5}, seconds=1.0)
    scoring.scoring.validate(None)
    assert not scoring.scoring.may_validate()  # two of them would take 2 of 15 seconds
    scoring.state.elapsed = 25.0
    assert scoring.scoring.may_validate()


def test_where_nothing_could_be_scored_the_newest_weights_are_kept_and_no_score_is_made(scoring):
    scoring.validator.run.return_value = result({})
    for _ in range(3):
        scoring.scoring.validate(None)
    assert [call.args for call in scoring.checkpoints.save_best.call_args_list] == [({},)] * 3
    assert scoring.state.best == {}
    assert scoring.state.stale_validations == 0  # it says nothing for early stopping
    (said,) = [call.args[0] for call in scoring.reporter.warn.call_args_list]
    assert "nothing was scored" in said
    scoring.validator.run.return_value = result({"surface_dice": 0.1})
    scoring.scoring.validate(None)
    scoring.validator.run.return_value = result({})
    scoring.scoring.validate(None)
    assert scoring.state.best["surface_dice"] == 0.1
    assert scoring.checkpoints.save_best.call_count == 4  # weights that were scored stay
