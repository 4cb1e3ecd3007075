import pytest

from napari_surfseg.config import Model
from napari_surfseg.errors import ConfigError
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.presets import (
    ARCHITECTURES,
    check_patch_size,
    count_parameters,
    estimate_training_bytes,
    find_smaller_patch,
    fit_patch_size,
    nearest_patch_sizes,
    resolve_architecture,
)


@pytest.mark.parametrize("preset", ["tiny", "small", "exp001"])
def test_counted_parameters_are_those_that_are_built(preset):
    network = build_unet(Model(preset=preset))
    built = sum(parameter.numel() for parameter in network.parameters())
    assert built == count_parameters(ARCHITECTURES[preset])


def test_sizes_are_those_promised():
    assert 31e6 <= count_parameters(ARCHITECTURES["base"]) <= 34e6
    assert abs(count_parameters(ARCHITECTURES["exp001"]) - 33.7e6) < 0.1e6
    assert count_parameters(ARCHITECTURES["tiny"]) < count_parameters(ARCHITECTURES["small"])


def test_changes_to_a_preset_reach_the_network():
    changed = Model(
        preset="tiny",
        base_channels=8,
        multipliers=(1, 2),
        blocks_per_stage=2,
        deep_supervision=True,
    )
    architecture = resolve_architecture(changed)
    assert architecture.channels == (8, 16)
    assert architecture.strides == (2,)
    assert architecture.encoder_blocks == architecture.decoder_blocks == 2
    built = sum(parameter.numel() for parameter in build_unet(changed).parameters())
    assert built == count_parameters(architecture)


def test_auto_is_small_where_there_is_a_gpu():
    assert resolve_architecture(Model(), device="cpu") == ARCHITECTURES["tiny"]
    assert resolve_architecture(Model(), device="cuda") == ARCHITECTURES["small"]


def test_a_patch_that_does_not_fit_is_refused_with_the_nearest_that_do():
    check_patch_size((48, 64, 160), ARCHITECTURES["tiny"])
    with pytest.raises(ConfigError, match=r"\[50, 64, 7\].*16.*48 or 64, 64, 16 ") as caught:
        check_patch_size((50, 64, 7), ARCHITECTURES["tiny"])
    assert caught.value.field == "data.patch_size"
    check_patch_size((72, 136, 136), ARCHITECTURES["exp001"])


def test_nearest_sizes():
    assert nearest_patch_sizes(50, 16) == (48, 64)
    assert nearest_patch_sizes(7, 16) == (16,)


def test_memory_grows_with_patch_and_width():
    tiny, base = ARCHITECTURES["tiny"], ARCHITECTURES["base"]
    small_patch = estimate_training_bytes(tiny, (64, 64, 64))
    assert estimate_training_bytes(tiny, (128, 64, 64)) > small_patch
    assert estimate_training_bytes(base, (64, 64, 64)) > small_patch
    half = estimate_training_bytes(base, (64, 64, 64), bytes_per_value=2)
    assert half < estimate_training_bytes(base, (64, 64, 64))


def test_a_patch_is_cut_down_to_the_volume():
    assert fit_patch_size((64, 64, 64), (50, 100, 200), 16) == (48, 64, 64)
    assert fit_patch_size((64, 64, 64), (8, 64, 63), 16) == (16, 64, 48)
    assert fit_patch_size((32, 64, 64), (8, 9, 10), 16) == (16, 32, 16)


def test_a_patch_of_one_coarse_voxel_is_refused():
    with pytest.raises(ConfigError, match=r"at least one edge 32 or more\.$"):
        check_patch_size((16, 16, 16), ARCHITECTURES["tiny"])


@pytest.mark.parametrize(
    ("patch", "divisor", "smaller"),
    [
        ((64, 64, 64), 16, (48, 48, 48)),
        ((72, 136, 136), 8, (72, 120, 120)),
        ((16, 64, 128), 16, (16, 64, 96)),
        ((32, 32, 32), 16, (16, 16, 32)),
        ((32, 16, 16), 16, None),
        ((16, 16, 32), 16, None),
        ((100, 100, 100), 16, (80, 80, 80)),
    ],
)
def test_the_next_smaller_patch_fits_the_strides(patch, divisor, smaller):
    assert find_smaller_patch(patch, divisor) == smaller
