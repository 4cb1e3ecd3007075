"""What a run is estimated to take, and what is advised where that is not there."""

import pytest

from napari_surfseg.model.presets import (
    ARCHITECTURES,
    count_parameters,
    estimate_training_bytes,
)
from napari_surfseg.training.memory_estimate import RunMemory
from napari_surfseg.training.rung import Rung

RUNG = Rung((64, 128, 128), 4)


def make_memory(preset, *, bytes_per_value=4, **given):
    architecture = ARCHITECTURES[preset]
    return RunMemory.fit(
        lambda number: estimate_training_bytes(
            architecture, RUNG.patch_size, batch_size=number, bytes_per_value=bytes_per_value
        ),
        RUNG.patch_size,
        num_parameters=count_parameters(architecture),
        **{"divisor": architecture.divisor} | given,
    )


@pytest.mark.parametrize("preset", ARCHITECTURES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_advised_fits_and_the_next_larger_does_not(preset, device):
    memory = make_memory(preset, device=device, batch_size=4)
    rungs = [RUNG]
    while (lower := rungs[-1].lower(memory.divisor)) is not None:
        rungs.append(lower)
    for rung in rungs:
        assert memory.find_fitting(RUNG, memory.needed(rung)) == rung
    assert memory.find_fitting(RUNG, memory.needed(rungs[-1]) - 1) is None


def test_on_a_gpu_the_copies_in_the_machine_do_not_count():
    on_cpu, on_gpu = (make_memory("base", device=one) for one in ("cpu", "cuda"))
    assert on_cpu.needed(RUNG) > on_gpu.needed(RUNG)
    assert on_cpu.estimate(RUNG) == on_gpu.estimate(RUNG)


def test_chunks_and_batches_count():
    least = make_memory("tiny").needed(RUNG)
    assert make_memory("tiny", chunk_bytes=1000).needed(RUNG) == least + 1000
    assert make_memory("tiny", num_ready=6).needed(RUNG) > least
    assert make_memory("tiny", bytes_per_value=2).needed(RUNG) < least


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_sentence_names_what_was_found_and_what_fits(device):
    memory = make_memory("small", device=device, batch_size=4)
    assert memory.warn(RUNG, 2**60) == ""
    said = memory.warn(RUNG, memory.needed(Rung((64, 128, 128), 2)))
    assert "4 patches of 64 × 128 × 128 voxels" in said
    assert said.endswith("; training.train_batch_size=2 would fit.")
    assert ("free on the GPU" in said) == (device == "cuda")
    said = memory.warn(RUNG, memory.needed(Rung((64, 64, 64), 1)))
    assert said.endswith(
        "; data.patch_size=[64, 64, 64] with training.train_batch_size=1 would fit."
    )
    said = memory.warn(Rung((64, 128, 128), 1), memory.needed(Rung((64, 64, 64), 1)))
    assert said.endswith("; data.patch_size=[64, 64, 64] would fit.")
    said = memory.warn(RUNG, 2**20)
    assert "not even the smallest patch fits, so choose a smaller model.preset" in said
    assert ("the device cpu" in said) == (device == "cuda")


def test_a_step_is_what_it_is_estimated_to_take_at_every_size():
    memory, base = make_memory("base"), ARCHITECTURES["base"]
    for rung in (RUNG, Rung((32, 48, 64), 1), Rung((32, 32, 32), 3)):
        expected = estimate_training_bytes(base, rung.patch_size, batch_size=rung.patches_at_once)
        assert memory.estimate(rung).step == pytest.approx(expected, rel=1e-6)


def test_a_network_of_one_size_of_patch_is_advised_fewer_patches_only():
    memory = make_memory("tiny", divisor=None, batch_size=4)
    fewest = Rung(RUNG.patch_size, 1)
    assert memory.find_fitting(RUNG, memory.needed(fewest)) == fewest
    assert memory.find_fitting(RUNG, memory.needed(fewest) - 1) is None
    assert "not even the smallest patch fits" in memory.warn(RUNG, 1)
