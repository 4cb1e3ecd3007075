"""Answers about networks: asked once, remembered, and given up for a newer question."""

import pytest
from tests.gui.training.stand_ins import JobsInPlace

from napari_surfseg.config import Model
from napari_surfseg.errors import CancelledError, ConfigError, RunError
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.training import network_facts
from napari_surfseg.gui.training.network_facts import NetworkFacts, NetworkQuestions, must_be_asked
from napari_surfseg.inference.process_protocol import read_job
from napari_surfseg.training.network_process import NetworkJob

PATCH = [32, 32, 32]
FACTS = {"divisor": 16, "num_parameters": 1000, "step_bytes": 1 << 30}
UNET = Model(preset="monai", network="UNet")
VNET = Model(preset="monai", network="VNet")


class Answers:
    """Processes that answer in place; ``result`` is an answer, or an error to raise."""

    def __init__(self):
        self.asked = []
        self.cancelled = 0
        self.result = FACTS

    def __call__(self, _module, _what):
        answers = self

        class Process:
            is_cancelled = False

            def run(self, path):
                answers.asked.append(read_job(path, NetworkJob.from_values))
                if isinstance(answers.result, Exception):
                    self.is_cancelled = isinstance(answers.result, CancelledError)
                    raise answers.result
                return answers.result

            def cancel(self):
                answers.cancelled += 1

        return Process()


@pytest.fixture
def answers(monkeypatch):
    answers = Answers()
    monkeypatch.setattr(network_facts, "JobProcess", answers)
    return answers


@pytest.fixture
def facts(qapp, answers):
    facts = NetworkQuestions(JobsInPlace())
    yield facts
    facts.close()


def test_an_answer_is_asked_once_and_remembered(facts, answers, qtbot):
    with qtbot.waitSignal(facts.answered):
        assert facts.find(UNET, PATCH, 2) is None
        assert facts.find(UNET, PATCH, 2) is None
    assert facts.find(UNET, PATCH, 2) == NetworkFacts(**FACTS)
    (job,) = answers.asked
    assert (job.model["network"], job.patch_size, job.batch_size) == ("UNet", PATCH, 2)
    facts.find(UNET, [64, 32, 32], 2)
    assert facts._settle.isActive()


def test_only_the_last_of_many_questions_is_asked(facts, answers, qtbot):
    with qtbot.waitSignal(facts.answered):
        facts.find(UNET, PATCH, 1)
        facts.find(VNET, PATCH, 1)
    assert [job.model["network"] for job in answers.asked] == ["VNet"]
    facts.find(UNET, PATCH, 1)
    facts.close()
    assert answers.cancelled == 1
    assert not facts._settle.isActive()


def test_what_is_refused_is_raised_with_its_setting_each_time(facts, answers, qtbot):
    answers.result = {"refused": "UNet takes no argument depth.", "field": "model.arguments"}
    with qtbot.waitSignal(facts.answered):
        facts.find(UNET, PATCH, 1)
    for _ in range(2):
        with pytest.raises(ConfigError, match="no argument depth") as raised:
            facts.find(UNET, PATCH, 1)
        assert raised.value.field == "model.arguments"


def test_a_process_that_fails_is_said_beside_the_network(facts, answers, qtbot):
    answers.result = RunError("The question to the network ended without a result.")
    with qtbot.waitSignal(facts.answered):
        facts.find(UNET, PATCH, 1)
    with pytest.raises(ConfigError, match="without a result") as raised:
        facts.find(UNET, PATCH, 1)
    assert raised.value.field == "model.network"


def test_a_question_that_was_given_up_is_no_answer(facts, answers, qtbot):
    answers.result = CancelledError("The question to the network was cancelled.")
    with qtbot.assertNotEmitted(facts.answered, wait=700):
        assert facts.find(UNET, PATCH, 1) is None
    assert len(answers.asked) == 1


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ({"preset": "monai", "network": "UNet"}, True),
        ({"start_from": "best.pt"}, True),
        ({"preset": "tiny", "start_from": "best.pt"}, False),
        ({"start_from": "none"}, False),
        ({}, False),
    ],
)
def test_what_the_window_does_not_know_is_asked(model, asked):
    assert must_be_asked(Model(**model)) == asked


def test_the_file_of_a_run_is_asked_about(facts, answers, qtbot, tmp_path):
    best = tmp_path / "checkpoints" / "best.pt"
    best.parent.mkdir()
    best.touch()
    with qtbot.waitSignal(facts.answered):
        facts.find(Model(start_from=str(tmp_path)), PATCH, 1)
    assert answers.asked[0].model["start_from"] == str(best)
    with qtbot.waitSignal(facts.answered):
        facts.find(Model(start_from=str(tmp_path / "gone")), PATCH, 1)
    with pytest.raises(ConfigError, match="gone") as raised:
        facts.find(Model(start_from=str(tmp_path / "gone")), PATCH, 1)
    assert raised.value.field == "model.start_from"


@pytest.mark.slow
def test_a_process_answers(qtbot, tiny_monai):
    model = Model(preset="monai", network="UNet", arguments=tiny_monai["UNet"])
    facts = NetworkQuestions(Jobs())
    with qtbot.waitSignal(facts.answered, timeout=300_000):
        facts.find(model, PATCH, 1)
    found = facts.find(model, PATCH, 1)
    assert found.divisor == 4
    assert found.num_parameters > 100
    assert found.step_bytes > 1 << 20
    facts.close()
