import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.network_estimate import describe_network, read_model
from napari_surfseg.gui.training.network_facts import NetworkFacts

FORM = TrainingForm(
    settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny", "model.dropout": 0.1}
)


def test_the_network_of_a_form_is_read():
    assert (read_model(FORM).preset, read_model(FORM).dropout) == ("tiny", 0.1)


def test_its_size_and_memory_are_said():
    said = describe_network(FORM)
    assert "million parameters" in said
    assert "patches of 32 × 32 × 32 on the CPU" in said
    assert "are free" not in said
    assert "Only 1 MiB are free: choose a smaller" in describe_network(
        FORM, available_bytes=1 << 20
    )


def test_a_patch_that_does_not_fit_is_refused():
    form = TrainingForm(settings={"data.patch_size": [33, 32, 32], "model.preset": "tiny"})
    with pytest.raises(ConfigError, match="divisible by"):
        describe_network(form)


def test_a_network_of_monai_is_described_by_what_it_answered():
    settings = {"model.preset": "monai", "model.network": "UNet", "data.patch_size": [32, 32, 32]}
    form = TrainingForm(settings=settings, device="cuda")
    assert describe_network(form) == ""
    facts = NetworkFacts(divisor=16, num_parameters=12_300_000, step_bytes=3 << 30)
    said = describe_network(form, facts=facts)
    assert said.startswith("12 million parameters; about 3 GiB of memory"), said
    assert "on the GPU" in said
    with pytest.raises(ConfigError, match="divisible by 16"):
        describe_network(
            TrainingForm(settings=settings | {"data.patch_size": [40, 32, 32]}), facts=facts
        )
