"""Changes while a run trains become commands; on a mock of the view, without a window."""

import pytest
from tests.gui.training.stand_ins import mock_session, mock_view

from napari_surfseg.events import (
    CommandApplied,
    CommandRefused,
    SetLossWeights,
    SetPreview,
    SetTraining,
)
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.training.steering import SteeringController
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.fixture
def view():
    view = mock_view(TrainingViewProtocol)
    view.form.return_value = TrainingForm(
        settings={"training.max_minutes": 25.0, "training.max_epochs": None}
    )
    return view


@pytest.fixture
def session():
    session = mock_session(is_active=True)
    session.send.side_effect = lambda command: command.id
    return session


@pytest.fixture
def steering(view, session):
    return SteeringController(view, session)


def sent(session):
    return [call.args[0] for call in session.send.call_args_list]


def running(*events, **values):
    return RunSnapshot(state=RunState.RUNNING, new_events=events, **values)


def test_settled_weights_are_sent(steering, view, session):
    view.loss.settled.emit({"cldice": 0.3})
    (command,) = sent(session)
    assert isinstance(command, SetLossWeights)
    assert command.weights == {"cldice": 0.3}
    view.run.set_error.assert_called_with("")


@pytest.mark.parametrize(("active", "weights"), [(False, {"cldice": 1.0}), (True, {"cldice": 0.0})])
def test_weights_without_a_run_or_without_a_term_are_not_sent(view, session, active, weights):
    session.is_active = active
    steering = SteeringController(view, session)
    view.loss.settled.emit(weights)
    assert sent(session) == []
    steering.close()


def test_the_length_is_sent_when_it_rests(steering, view, session):
    view.length_changed.emit()
    assert sent(session) == []
    steering._length.timeout.emit()
    (command,) = sent(session)
    assert isinstance(command, SetTraining)
    assert (command.max_minutes, command.max_epochs) == (25.0, None)


@pytest.mark.parametrize(
    ("key", "kind", "name"),
    [
        ("data.foreground_share", SetTraining, "foreground_share"),
        ("preview.seconds", SetPreview, "seconds"),
    ],
)
def test_a_setting_that_a_running_training_takes_is_sent(steering, view, session, key, kind, name):
    view.setting.return_value = 0.5
    view.live_setting_changed.emit(key)
    (command,) = sent(session)
    assert isinstance(command, kind)
    assert getattr(command, name) == 0.5


def test_weights_in_force_are_shown_unless_others_are_under_way(steering, view, session):
    view.loss.settled.emit({"cldice": 0.3})
    (command,) = sent(session)
    steering.take(running(loss_weights={"cldice": 0.1}))
    view.loss.set_weights.assert_not_called()
    answer = CommandApplied(command_id=command.id, command="SetLossWeights")
    steering.take(running(answer, loss_weights={"cldice": 0.3}))
    view.loss.set_weights.assert_called_once_with({"cldice": 0.3})


def test_a_refusal_is_shown_but_strokes_have_a_place_of_their_own(steering, view):
    for command, shown in (("UpdateLabels", False), ("Pause", True)):
        view.run.set_error.reset_mock()
        refused = CommandRefused(command_id="1", command=command, message="It is over.")
        steering.take(running(refused))
        assert view.run.set_error.called == shown
