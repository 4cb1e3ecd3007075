from dataclasses import replace

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.network_estimate import describe_network, read_model
from napari_surfseg.gui.training.network_facts import NetworkFacts
from napari_surfseg.process_memory import GpuMemory

FORM = TrainingForm(
    settings={"data.patch_size": [32, 32, 32], "model.preset": "tiny", "model.dropout": 0.1}
)


def test_the_network_of_a_form_is_read():
    assert (read_model(FORM).preset, read_model(FORM).dropout) == ("tiny", 0.1)


def test_its_size_and_memory_are_said():
    said = describe_network(FORM)
    assert "million parameters" in said
    assert "1 patch of 32 × 32 × 32 voxels at once on the CPU" in said
    assert "are free" not in said


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto"])
@pytest.mark.parametrize("gpu_bytes", [None, 2**20, 2**40])
@pytest.mark.parametrize("free_bytes", [None, 2**20, 2**40])
def test_short_memory_is_said_of_where_it_will_train(device, gpu_bytes, free_bytes):
    gpu = None if gpu_bytes is None else GpuMemory("RTX", gpu_bytes)
    said = describe_network(replace(FORM, device=device), free_bytes=free_bytes, gpu=gpu)
    on_gpu = device == "cuda" or (device == "auto" and gpu is not None)
    assert ("RTX" in said) == (on_gpu and gpu is not None)
    assert ("on the GPU" in said) == on_gpu
    assert ("1 MiB are free" in said) == ((gpu_bytes if on_gpu else free_bytes) == 2**20)
    assert ("choose a smaller model.preset" in said) == ("are free" in said)


def test_what_would_fit_is_named():
    form = replace(
        FORM, settings=FORM.settings | {"training.train_batch_size": 4, "model.preset": "base"}
    )
    assert "training.train_batch_size=" in describe_network(form, free_bytes=2 * 2**30)


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


@pytest.mark.parametrize("device", ["cpu", "cuda", "auto"])
def test_nothing_of_this_computer_is_said_of_another(device):
    form = replace(FORM, device=device, launcher="slurm")
    said = describe_network(form, free_bytes=2**20, gpu=GpuMemory("RTX", 2**20))
    assert f"on the {'CPU' if device == 'cpu' else 'GPU'} of the other machine" in said
    assert "RTX" not in said
    assert "are free" not in said
