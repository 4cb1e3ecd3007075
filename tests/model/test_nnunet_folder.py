"""Results of nnU-Net v2, made with the real classes of dynamic-network-architectures."""

import json
import pickle

import numpy as np
import pytest
import torch

from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.open_network import open_network

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet",
    reason="pip install napari-surfseg[nnunet]",
)

FEATURES, STRIDES = [4, 6, 8], [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]


def build(name, classes, **changes):
    blocks = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
    values = {
        "n_stages": 3,
        "features_per_stage": FEATURES,
        "kernel_sizes": KERNELS,
        "strides": STRIDES,
        blocks[name]: [1, 2, 2],
        "n_conv_per_stage_decoder": [1, 1],
        "conv_bias": True,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin_kwargs": {"inplace": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
    }
    torch.manual_seed(0)
    network = getattr(unet, name)(
        input_channels=1,
        num_classes=classes,
        conv_op=torch.nn.Conv3d,
        norm_op=torch.nn.InstanceNorm3d,
        nonlin=torch.nn.LeakyReLU,
        deep_supervision=True,
        **values,
    )
    said = {
        **values,
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "nonlin": "torch.nn.LeakyReLU",
        **changes,
    }
    return network, said


@pytest.fixture
def make(tmp_path):
    """Write a result of nnU-Net as its trainer does; returns the folder and the network."""

    def make_result(
        name="PlainConvUNet",
        labels=None,
        scheme="CTNormalization",
        order=(0, 1, 2),
        *,
        plan=None,
        dataset=None,
        checkpoint=None,
        architecture=None,
        prefix="",
    ):
        labels = labels or {"background": 0, "membrane": 1}
        regions = [value for value in labels.values() if isinstance(value, list)]
        kept = [key for key in labels if key != "ignore"]
        network, said = build(name, len(kept) - bool(regions), **(architecture or {}))
        folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
        (folder / "fold_0").mkdir(parents=True)
        package = "dynamic_network_architectures.architectures.unet"
        configuration = {
            "patch_size": [16, 32, 24],
            "spacing": [3.0, 1.0, 2.0],
            "normalization_schemes": [scheme],
            "architecture": {"network_class_name": f"{package}.{name}", "arch_kwargs": said},
            **(plan or {}),
        }
        plans = {
            "dataset_name": "Dataset007_Membranes",
            "transpose_forward": list(order),
            "configurations": {"base": configuration, "3d_fullres": {"inherits_from": "base"}},
            "foreground_intensity_properties_per_channel": {
                "0": {
                    "percentile_00_5": -100.0, "percentile_99_5": 300.0, "mean": 50.0,
                    "std": 80.0, "min": -200.0, "max": 400.0,
                }
            },
        }  # fmt: skip
        (folder / "plans.json").write_text(json.dumps(plans))
        facts = {
            "channel_names": {"0": "CT"},
            "labels": labels,
            "file_ending": ".nii.gz",
            **({"regions_class_order": [1, 2]} if regions else {}),
            **(dataset or {}),
        }
        (folder / "dataset.json").write_text(json.dumps(facts))
        values = {
            "network_weights": {f"{prefix}{k}": v for k, v in network.state_dict().items()},
            "optimizer_state": torch.optim.SGD(network.parameters(), 0.01).state_dict(),
            "grad_scaler_state": {"scale": 65536.0},
            "logging": {"ema_fg_dice": [np.float64(0.5), np.float32(0.25)], "count": np.int64(3)},
            "_best_ema": np.float64(0.9),
            "current_epoch": 1000,
            "init_args": {
                "plans": plans,
                "configuration": "3d_fullres",
                "fold": 0,
                "dataset_json": facts,
                "device": torch.device("cuda"),
            },
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": (0, 1, 2),
            **(checkpoint or {}),
        }
        torch.save(values, folder / "fold_0" / "checkpoint_final.pth")
        network.decoder.deep_supervision = False
        return folder, network.eval()

    return make_result


def predict(checkpoint, image):
    with torch.inference_mode():
        return torch.sigmoid(checkpoint.build_model()(image))


IMAGE = torch.randn(1, 1, 16, 32, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module."])
def test_the_probability_is_that_of_the_softmax(make, name, prefix):
    folder, network = make(name, prefix=prefix)
    with torch.inference_mode():
        expected = torch.softmax(network(IMAGE), 1)[:, 1:2]
    for path in (folder, folder / "fold_0", folder / "fold_0" / "checkpoint_final.pth"):
        found = open_network(path)
        assert torch.allclose(predict(found, IMAGE), expected, atol=1e-5)
    assert found.patch_size == (16, 32, 24)
    assert found.spacing == (3.0, 1.0, 2.0)
    assert found.units == "millimeter"
    assert found.notes == ()
    assert found.epoch == 1000
    assert found.experiment.model.preset == "nnunet"
    intensity = found.intensity
    assert (intensity.low, intensity.high) == (-100.0, 300.0)
    assert (intensity.mean, intensity.std) == (0.375, 0.2)


def test_which_class_is_the_surface_is_said_and_can_be_chosen(make):
    folder, network = make(labels={"background": 0, "wall": 1, "nucleus": 2, "ignore": 3})
    with torch.inference_mode():
        expected = torch.softmax(network(IMAGE), 1)
    found = open_network(folder)
    assert torch.allclose(predict(found, IMAGE), expected[:, 1:2], atol=1e-5)
    assert "surface is wall" in found.notes[0]
    assert "::nucleus" in found.notes[0]
    for name in ("nucleus", "2"):
        other = open_network(f"{folder}::{name}")
        assert torch.allclose(predict(other, IMAGE), expected[:, 2:], atol=1e-5)
        assert "surface is nucleus" in other.notes[0]
    with pytest.raises(CheckpointError, match="has no class cell; it has wall and nucleus"):
        open_network(f"{folder}::cell")
    with pytest.raises(CheckpointError, match="has no class 0"):
        open_network(f"{folder}::0")


def test_regions_have_a_sigmoid_each(make):
    folder, network = make(labels={"background": 0, "all": [1, 2], "core": [2]})
    with torch.inference_mode():
        expected = torch.sigmoid(network(IMAGE))
    assert torch.allclose(predict(open_network(folder), IMAGE), expected[:, :1], atol=1e-5)
    core = predict(open_network(f"{folder}::core"), IMAGE)
    assert torch.allclose(core, expected[:, 1:], atol=1e-5)


def test_axes_that_nnunet_exchanged_are_put_back(make):
    folder, network = make(order=(2, 0, 1))
    found = open_network(folder)
    # What the plans list first is the third of our axes, and so on.
    assert found.patch_size == (32, 24, 16)
    assert found.spacing == (1.0, 2.0, 3.0)
    image = torch.randn(1, 1, 32, 24, 16)
    with torch.inference_mode():
        seen = torch.softmax(network(image.permute(0, 1, 4, 2, 3)), 1)[:, 1:2]
    assert torch.allclose(predict(found, image), seen.permute(0, 1, 3, 4, 2), atol=1e-5)
    assert found.build_model().architecture.window_multiple == (4, 4, 2)


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("ZScoreNormalization", None),
        ("RGBTo01Normalization", (0.0, 255.0, 0.0, 1.0)),
        ("RescaleTo01Normalization", (-200.0, 400.0, 0.0, 1.0)),
        ("NoNormalization", (-200.0, 400.0, 200 / 600, 1 / 600)),
    ],
)
def test_normalisation_is_taken_from_the_plans(make, scheme, expected):
    found = open_network(make(scheme=scheme)[0]).intensity
    if expected is None:
        assert found is None
        return
    assert (found.low, found.high, found.mean, found.std) == pytest.approx(expected)


def test_plans_of_the_first_versions_are_read(make):
    old = {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": [1, 2, 2],
        "n_conv_per_stage_decoder": [1, 1],
        "pool_op_kernel_sizes": STRIDES,
        "conv_kernel_sizes": KERNELS,
    }
    folder, _ = make()
    plans = json.loads((folder / "plans.json").read_text())
    base = plans["configurations"]["base"]
    del base["architecture"]
    base.update(old)
    (folder / "plans.json").write_text(json.dumps(plans))
    # 4, 8, 8 features here, 4, 6, 8 in the weights: read as far as that.
    with pytest.raises(CheckpointError, match="shape"):
        open_network(folder)


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("the checkpoint was unpickled",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dataset": {"channel_names": {"0": "CT", "1": "PET"}}}, "2 channels"),
        ({"plan": {"patch_size": [64, 64]}}, "slices"),
        ({"plan": {"previous_stage": "3d_lowres"}}, "cascade"),
        ({"scheme": "MyNormalization"}, "MyNormalization"),
        ({"architecture": {"norm_op": "torch.nn.BatchNorm3d"}}, "norm_op is BatchNorm3d"),
        ({"plan": {"architecture": {"network_class_name": "a.Primus", "arch_kwargs": {}}}},
         "network Primus"),
        ({"plan": {"spacing": None}}, "damaged or of another version"),
        ({"checkpoint": {"init_args": None}}, "not a checkpoint of nnU-Net"),
        ({"checkpoint": {"network_weights": {}}}, "lack"),
        ({"checkpoint": {"logging": _Evil()}}, "not opened"),
        ({"checkpoint": {"logging": np.zeros(3)}}, "not opened"),
        ({"checkpoint": {"logging": torch.zeros(1).expand(10**9)}}, "not opened"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_sentence(make, options, says):
    folder, _ = make(**options)
    with pytest.raises(CheckpointError, match=says) as caught:
        open_network(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("dataset.json", None, "There is no"),
        ("dataset.json", b"{", "damaged"),
        ("plans.json", b"[]", "no mapping"),
        ("fold_0/checkpoint_final.pth", None, "no trained fold"),
        ("fold_0/checkpoint_final.pth", b"PK", "not opened"),
        ("fold_0/checkpoint_final.pth", pickle.dumps(_Evil()), "not opened"),
    ],
)
def test_damaged_and_missing_files_are_one_sentence(make, name, content, says):
    folder, _ = make()
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        open_network(folder)
    assert "\n" not in str(caught.value)


def test_without_the_library_a_sentence_names_the_extra(make, monkeypatch):
    folder, _ = make()
    monkeypatch.setitem(
        __import__("sys").modules, "dynamic_network_architectures.architectures", None
    )
    with pytest.raises(CheckpointError, match=r"napari-surfseg\[nnunet\]"):
        open_network(folder)


def test_it_trains_on(make):
    """The heads of all resolutions are scored, and the weights are those that were read."""
    folder, _ = make()
    network = open_network(folder).build_model().train()
    heads = network(IMAGE)
    shapes = network.architecture.head_shapes((16, 32, 24))
    assert [tuple(head.shape[2:]) for head in heads] == shapes
    sum(head.mean() for head in heads).backward()
    assert network.network.encoder.stages[0][0].convs[0].conv.weight.grad is not None


def test_a_volume_is_predicted_and_the_class_is_said(make, tmp_path):
    import napari_surfseg as surfseg

    folder, _ = make(labels={"background": 0, "wall": 1, "nucleus": 2}, order=(1, 0, 2))
    volume = np.random.default_rng(0).normal(50, 80, (20, 30, 26)).astype(np.float32)
    with pytest.warns(UserWarning, match="surface is nucleus"):
        found = surfseg.predict(volume, f"{folder}::nucleus", probabilities=True)
    assert found.shape == volume.shape
    bundle = surfseg.export(f"{folder}::nucleus", tmp_path / "bundle")
    again = surfseg.predict(volume, bundle, probabilities=True)
    assert np.array_equal(found, again)
