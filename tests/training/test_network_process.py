"""What the window asks of a network of MONAI: its answer as a line, its refusal with a setting."""

import json

import pytest

from napari_surfseg.inference.process_protocol import write_job
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.model.presets import resolve_architecture
from napari_surfseg.training.network_process import NetworkJob, main


@pytest.fixture
def ask(tmp_path, capsys):
    """Return a function that asks about a network and returns the result."""

    def ask(patch_size=(32, 32, 32), batch_size=1, **model):
        job = NetworkJob({"preset": "monai"} | model, list(patch_size), batch_size)
        assert main([str(write_job(tmp_path, job))]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])["result"]

    return ask


def test_a_network_says_what_it_divides_by_and_needs(ask, tiny_monai):
    given = {"network": "UNet", "arguments": tiny_monai["UNet"]}
    one, two = ask(**given), ask(**given, batch_size=2)
    assert one["divisor"] == 4
    assert one["num_parameters"] == two["num_parameters"] > 1000
    assert one["step_bytes"] < two["step_bytes"] < 2 * one["step_bytes"] + 1


@pytest.mark.parametrize(
    ("arguments", "field", "said"),
    [
        ({"depth": 3}, "model.arguments", "depth"),
        ({"channels": "many"}, "model.arguments", "channels"),
        ("many", "model.arguments", "many"),
    ],
)
def test_what_it_does_not_take_is_refused_with_the_setting(ask, arguments, field, said):
    refused = ask(network="UNet", arguments=arguments)
    assert refused["field"] == field
    assert said in refused["refused"]


def test_an_automatic_size_is_that_of_the_network_to_start_from(ask, tmp_path, tiny_checkpoint):
    path = tmp_path / "best.pt"
    save_checkpoint(path, tiny_checkpoint)
    own = sum(tensor.numel() for tensor in tiny_checkpoint.weights.values())
    found = ask(preset="auto", start_from=str(path))
    divisor = resolve_architecture(tiny_checkpoint.experiment.model).divisor
    assert (found["divisor"], found["num_parameters"]) == (divisor, own)
    path.write_bytes(b"no checkpoint")
    refused = ask(preset="auto", start_from=str(path))
    assert refused["field"] == "model.start_from"
    assert "best.pt" in refused["refused"]


def test_a_job_that_cannot_be_read_is_an_error(tmp_path, capsys):
    (tmp_path / "job.json").write_text('{"network": 1}', encoding="utf-8")
    assert main([str(tmp_path / "job.json")]) != 0
    assert "cannot be read" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
