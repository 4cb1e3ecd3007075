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
    training = SimpleNamespace(validation_share=0.1, best_by="mean_dice")
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
        scoring.validator.run.return_value = result({"mean_dice": value})
        scoring.scoring.validate(None)
    saved = [call.args[0]["mean_dice"] for call in scoring.checkpoints.save_best.call_args_list]
    assert saved == [0.5, 0.6]
    assert scoring.state.threshold == 0.4


def run_through(scoring, results, *, warm_up=0):
    """Score an epoch with each of the results; return those of which the weights were kept."""
    kept = []
    for scoring.state.epoch, found in enumerate(results, 1):
        before = scoring.checkpoints.save_best.call_count
        scoring.validator.run.return_value = found
        scoring.scoring.validate(None, is_warming_up=scoring.state.epoch <= warm_up)
        if scoring.checkpoints.save_best.call_count > before:
            kept.append(scoring.state.epoch)
    return kept


def whole(surface_dice, dice, voi_score):
    scores = {"surface_dice": surface_dice, "dice": dice, "voi_score": voi_score}
    return result({**scores, "mean_dice": (surface_dice + dice) / 2})


def test_an_early_fat_prediction_is_not_the_best(scoring):
    # Fat and all in one piece: found everywhere, within the tolerance, and nothing is split.
    fat, better, best = whole(0.94, 0.35, 0.78), whole(0.90, 0.50, 0.60), whole(0.92, 0.60, 0.62)
    assert run_through(scoring, [fat, better, best]) == [1, 2, 3]


def test_an_epoch_of_the_warm_up_is_replaced_by_the_first_one_after_it(scoring):
    scores = [whole(0.9, 0.7, 0.7), whole(0.8, 0.6, 0.7), whole(0.7, 0.5, 0.6)]
    assert run_through(scoring, scores, warm_up=2) == [1, 3]
    said = [call.kwargs for call in scoring.reporter.report_validation.call_args_list]
    assert [each["is_warming_up"] for each in said] == [True, True, False]
    assert {each["scored_by"] for each in said} == {"mean_dice"}


def test_of_strokes_the_newest_near_the_greatest_is_kept(scoring):
    values = (0.92, 0.86, 0.90, 0.91, 0.80)
    strokes = [result({"dice": value}, is_sparse=True) for value in values]
    assert run_through(scoring, strokes) == [1, 3, 4]
    assert scoring.checkpoints.save_best.call_args.args == ({"dice": 0.91}, "dice")


def test_of_whole_labels_a_difference_that_says_nothing_keeps_the_newest(scoring):
    values = (0.900, 0.896, 0.899, 0.880, 0.897)
    assert run_through(scoring, [result({"mean_dice": value}) for value in values]) == [1, 2, 3, 5]


def test_validation_keeps_within_its_share_of_the_time(scoring):
    scoring.state.elapsed = 15.0
    assert scoring.scoring.may_validate()
    scoring.validator.run.return_value = result({"mean_dice": 0.5}, seconds=1.0)
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
    scoring.validator.run.return_value = result({"mean_dice": 0.1})
    scoring.scoring.validate(None)
    scoring.validator.run.return_value = result({})
    scoring.scoring.validate(None)
    assert scoring.state.best["mean_dice"] == 0.1
    assert scoring.checkpoints.save_best.call_count == 4  # weights that were scored stay
