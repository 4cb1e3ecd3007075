import pytest
import torch

from napari_surfseg.device import choose_device, choose_precision
from napari_surfseg.errors import ConfigError


def test_auto_uses_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA GPU"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["tpu", "cpu:x"])
def test_a_name_that_is_no_device_is_refused(name):
    with pytest.raises(ConfigError, match="must be auto, cpu"):
        choose_device(name)


def test_the_cpu_computes_in_float32_unless_bf16_is_asked_for():
    cpu = torch.device("cpu")
    assert choose_device("cpu") == cpu
    assert choose_precision("auto", cpu) == "float32"
    assert choose_precision("bf16", cpu) == "bf16"


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "bf16")]
)
def test_a_gpu_that_only_imitates_bf16_computes_in_float32(monkeypatch, capability, precision):
    """A V100 and a T4; torch says of both that they have it."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_precision("auto", torch.device("cuda")) == precision
