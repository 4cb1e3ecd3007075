import inspect
import json
import re
import subprocess
import sys

import pytest
import torch
from monai.networks import nets
from torch import nn

from napari_surfseg.config import MONAI_NETWORKS, Experiment, Model
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import ConfigError
from napari_surfseg.model.monai_network import (
    build_monai_network,
    complete_arguments,
    resolve_monai,
)
from napari_surfseg.model.monai_table import MONAI_TABLE

#: The divisor of each network as it is without arguments, and its heads' factors.
FACTS = {
    "AttentionUnet": (16, (1,)),
    "BasicUNet": (16, (1,)),
    "BasicUNetPlusPlus": (16, (1,)),
    "DynUNet": (16, (1, 2, 4)),
    "FlexibleUNet": (32, (1,)),
    "MedNeXt": (16, (1, 2, 4, 8)),
    "SegResNet": (8, (1,)),
    "SegResNetDS": (8, (1, 2, 4)),
    "SwinUNETR": (32, (1,)),
    "UNETR": (16, (1,)),
    "UNet": (16, (1,)),
    "VNet": (16, (1,)),
}
#: Classes of MONAI with inputs and outputs in channels that map no volume to its labels.
OTHERS = {
    "AHNet": "takes no patch below 128 voxels",
    "AutoEncoder": "no skip connections: it makes pictures smooth",
    "AutoencoderKL": "generates",
    "DAF3D": "needs torchvision",
    "DenseNet": "classifies",
    "DiffusionModelUNet": "generates",
    "FullyConnectedNet": "takes vectors",
    "HighResBlock": "a part of HighResNet",
    "HighResNet": "ends in a rectifier, so that no logit is below 0",
    "HyenaNDUNETR": "needs a library of its own",
    "LocalNet": "registers",
    "MultiScalePatchDiscriminator": "classifies",
    "PatchDiscriminator": "classifies",
    "RegUNet": "registers",
    "SPADEAutoencoderKL": "generates",
    "SPADEDiffusionModelUNet": "generates",
    "SPADENet": "generates",
    "SegResNetDS2": "has a second branch, for prompts",
    "SegResNetVAE": "returns its own loss",
    "VQVAE": "generates",
    "VarFullyConnectedNet": "takes vectors",
    "ViTAutoEnc": "no skip connections",
}


def model_of(name, arguments=None, **changes):
    return Model(preset="monai", network=name, arguments=arguments, **changes)


def patch_for(divisor):
    return (divisor, divisor, 2 * divisor)


def test_the_table_the_setting_and_monai_list_the_same_networks():
    assert set(MONAI_TABLE) == set(MONAI_NETWORKS) == set(FACTS)
    for name in MONAI_NETWORKS:
        assert issubclass(getattr(nets, name), nn.Module)


def test_every_network_of_monai_is_offered_or_has_a_reason():
    found = set()
    for name in dir(nets):
        kind = getattr(nets, name)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            taken = inspect.signature(kind.__init__).parameters
            is_variant = "DenseNet" in {base.__name__ for base in kind.__mro__[1:]}
            if {"in_channels", "out_channels"} <= set(taken) and not is_variant:
                found.add(kind.__name__)
    named = {*MONAI_NETWORKS, *OTHERS}
    assert found <= named


@pytest.mark.parametrize("name", MONAI_NETWORKS)
def test_what_is_asked_of_a_network_is_what_it_does(name, tiny_monai):
    """Divisor, heads and weights, found without numbers, against the network itself."""
    divisor, _ = FACTS[name]
    patch = patch_for(divisor)
    architecture = resolve_monai(model_of(name, tiny_monai[name]), patch)
    torch.manual_seed(0)
    network = build_monai_network(architecture)
    assert architecture.num_parameters == sum(w.numel() for w in network.parameters())
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    on_meta = build_monai_network(architecture, device="meta").state_dict()
    assert {key: tensor.shape for key, tensor in on_meta.items()} == shapes
    image = torch.randn(1, 1, *patch)
    heads = network.train()(image)
    assert [tuple(head.shape[2:]) for head in heads] == architecture.head_shapes(patch)
    sum(head.mean() for head in heads).backward()
    logits = network.eval()(image)
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == image.shape
    # A surface is rare.
    assert -3 < float(logits.detach().median()) < -0.5


@pytest.mark.parametrize("name", MONAI_NETWORKS)
def test_divisor_and_heads_as_networks_are_without_arguments(name):
    divisor, factors = FACTS[name]
    architecture = resolve_monai(model_of(name), patch_for(divisor))
    assert architecture.divisor == divisor
    assert architecture.head_factors == tuple((factor,) * 3 for factor in factors)
    only = resolve_monai(model_of(name, deep_supervision=False), patch_for(divisor))
    assert only.head_factors == ((1, 1, 1),)
    assert (architecture.max_learning_rate == 4e-4) == ("UNETR" in name)


@pytest.mark.parametrize(
    ("name", "arguments", "divisor", "factors"),
    [
        ("UNet", {"channels": [4, 8, 8], "strides": [3, 2]}, 6, [(1, 1, 1)]),
        ("UNet", {"channels": [4, 8]}, 2, [(1, 1, 1)]),
        ("DynUNet", {"strides": [1, 2, 2]}, 4, [(1, 1, 1), (2, 2, 2)]),
        ("DynUNet", {"strides": [1, [1, 2, 2], 2]}, 4, [(1, 1, 1), (1, 2, 2)]),
        ("SegResNetDS", {"dsdepth": 2, "blocks_down": [1, 1, 1, 1, 1]}, 16, [(1,) * 3, (2,) * 3]),
        ("SegResNetDS", {"resolution": [4, 1, 1]}, 8, [(1,) * 3, (1, 2, 2), (1, 4, 4)]),
        (
            "MedNeXt",
            {"blocks_down": [1, 1], "blocks_up": [1, 1]},
            4,
            [(1,) * 3, (2,) * 3, (4,) * 3],
        ),
        ("SwinUNETR", {"use_v2": True, "feature_size": 12}, 32, [(1, 1, 1)]),
        ("UNETR", {"hidden_size": 48, "num_heads": 4, "feature_size": 8}, 16, [(1, 1, 1)]),
    ],
)
def test_arguments_change_divisor_and_heads(name, arguments, divisor, factors):
    patch = (64, 64, 96)
    model = model_of(name, arguments)
    architecture = resolve_monai(model, patch)
    assert (architecture.divisor, list(architecture.head_factors)) == (divisor, factors)
    # What is completed completes to itself: a checkpoint builds the same network again.
    settled = model.model_copy(
        update={"arguments": json.loads(json.dumps(complete_arguments(model)))}
    )
    assert resolve_monai(settled, patch) == architecture


def test_a_patch_that_does_not_fit_is_another_sentence():
    for name in MONAI_NETWORKS:
        assert resolve_monai(model_of(name), (50, 64, 7)).divisor == FACTS[name][0]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "SegResNetDS",
            {"init_filter": 8},
            r"init_filter is not .* SegResNetDS; did you mean init_f",
        ),
        ("SegResNetDS", {"foo": 8}, r"foo is not an argument .*\(allowed: init_filters, act, norm"),
        (
            "SegResNetDS",
            {"init_filters": "big"},
            r'init_filters is "big", but .* takes a whole num',
        ),
        ("SegResNetDS", {"init_filters": 8.5}, r"init_filters is 8.5, but .* takes a whole number"),
        (
            "SegResNetDS",
            {"init_filters": True},
            r"init_filters is true, but .* takes a whole number",
        ),
        ("SegResNetDS", {"blocks_down": 3}, r"blocks_down is 3, but .* takes a list there"),
        ("SegResNetDS", {"upsample_mode": "magic"}, r"magic"),
        (
            "SegResNetDS",
            {"act": "magic"},
            r"cannot be built with model.arguments as they are: .*MAGIC",
        ),
        ("SegResNetDS", {"preprocess": "relu"}, r"preprocess is not an argument"),
        ("SegResNetDS", {"in_channels": 2}, r"in_channels is set by the program, from the image"),
        ("SegResNetDS", {"blocks_down": []}, r"cannot be built"),
        (
            "SegResNetDS",
            {"blocks_down": [4096] * 30},
            r"larger than 1,000 million weights or 20,000",
        ),
        ("SegResNetDS", {"init_filters": 4096}, r"larger than 1,000 million"),
        ("SegResNetDS", {"init_filters": 0}, r"cannot be built"),
        ("SegResNetDS", {"init_filters": -4}, r"cannot be built"),
        ("UNet", {"channels": [4, "x"]}, r"channels is .* takes a list of whole numbers there"),
        ("UNet", {"channels": [4, 8], "strides": [2, 2, 2]}, r"cannot be built"),
        ("UNet", {"channels": [4]}, r"cannot be built"),
        ("UNet", {"spatial_dims": 2}, r"spatial_dims is set by the program"),
        ("SwinUNETR", {"feature_size": 10}, r"cannot be built .*12"),
        ("SwinUNETR", {"window_size": 4096}, r"larger than 1,000 million"),
        ("SwinUNETR", {"norm_layer": "LayerNorm"}, r"norm_layer is not an argument"),
        ("UNETR", {"img_size": 32}, r"img_size is set by the program, from data.patch_size"),
        ("UNETR", {"num_heads": 7}, r"cannot be built"),
        ("FlexibleUNet", {"pretrained": True}, r"pretrained is not an argument"),
        ("FlexibleUNet", {"backbone": "nothing"}, r"cannot be built"),
        ("DynUNet", {"deep_supervision": True}, r"set by the program, from model.deep_supervision"),
        ("DynUNet", {"strides": [1]}, r"cannot be built"),
        ("VNet", {"dropout_prob_up": [0.5]}, r"takes a list of 2"),
    ],
)
def test_arguments_that_a_class_does_not_take_are_one_sentence(name, arguments, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_monai(model_of(name, arguments), (32, 32, 64))
    assert caught.value.field == "model.arguments"
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_deep_supervision_that_a_network_does_not_have_is_refused():
    with pytest.raises(ConfigError, match=r"VNet has no coarser outputs; .* SegResNetDS") as caught:
        resolve_monai(model_of("VNet", deep_supervision=True), (32, 32, 32))
    assert caught.value.field == "model.deep_supervision"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.preset=monai", "preset: monai needs network, one of AttentionUnet"),
        ("model.network=UNet", "network goes with preset: monai, but preset is auto"),
        ("model.arguments={channels: [4, 8]}", "arguments goes with preset: monai"),
        (
            "model={preset: monai, network: ResNet}",
            "model.network is 'ResNet', but it must be 'Att",
        ),
        (
            "model={preset: monai, network: UNet, base_channels: 8}",
            "base_channels is for the progr",
        ),
        ("model={preset: monai, network: UNet, dropout: 0.1}", "dropout is for the program's own"),
        (
            "model={preset: monai, network: UNet, arguments: 3}",
            "arguments is 3, but it must be a m",
        ),
        ("model={preset: monai, network: UNet, arguments: [3]}", "arguments .* mapping"),
        ("model={preset: monai, network: UNet, arguments: {act: os.system}}", "act is 'os.system'"),
        (
            "model={preset: monai, network: UNet, arguments: {act: 'a/b'}}",
            "act is 'a/b', but a text",
        ),
        (
            "model={preset: monai, network: UNet, arguments: {act: __import__}}",
            "act is '__import__'",
        ),
        ("model={preset: monai, network: UNet, arguments: {act: [relu, {a: 'x:y'}]}}", "'x:y'"),
        ("model={preset: monai, network: UNet, arguments: {a.b: 3}}", "'a.b' is no name of an arg"),
        ("model={preset: monai, network: UNet, arguments: {channels: [100000]}}", "go up to 4096"),
        ("model={preset: monai, network: UNet, arguments: {dropout: .nan}}", "go up to 4096"),
        (
            "model={preset: monai, network: UNet, arguments: {dropout: 2020-01-01}}",
            "dropout is a date",
        ),
        (
            "model={preset: monai, network: UNet, arguments: {act: [[[[[1]]]]]}}",
            "lists within lists",
        ),
    ],
)
def test_hostile_settings_are_one_sentence(change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        apply_overrides(Experiment(), [change])
    assert "\n" not in str(caught.value)


def test_more_values_than_a_network_has_are_refused():
    with pytest.raises(ConfigError, match="more than 256 values"):
        apply_overrides(
            Experiment(),
            [f"model={{preset: monai, network: UNet, arguments: {{channels: {[1] * 300}}}}}"],
        )


def test_single_arguments_are_set_from_the_command_line():
    changes = ["model.preset=monai", "model.network=UNet", "model.arguments.num_res_units=0"]
    changed = apply_overrides(Experiment(), [*changes, "model.arguments.channels=[4, 8]"])
    assert changed.model.arguments == {"num_res_units": 0, "channels": [4, 8]}
    assert changed.model.title == "UNet of MONAI"


@pytest.mark.parametrize("kind", ["SegResNetDS", "DynUNet", "MedNeXt"])
def test_heads_are_at_their_own_resolution(kind, tiny_monai):
    """What MONAI enlarges or returns in another order is as our own networks have it."""
    patch = (32, 32, 32)
    architecture = resolve_monai(model_of(kind, tiny_monai[kind]), patch)
    network = build_monai_network(architecture).train()
    edges = [shape[0] for shape in architecture.head_shapes(patch)]
    assert edges == sorted(edges, reverse=True)
    heads = network(torch.randn(1, 1, *patch))
    assert [head.shape[-1] for head in heads] == edges
    assert all(head.requires_grad for head in heads)


RSS = """
import json, resource, sys, torch
from napari_surfseg.config import Model
from napari_surfseg.model.monai_network import build_monai_network, resolve_monai
from napari_surfseg.losses.combined import compute_combined_loss, compute_loss_targets
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.vocabulary import LOSS_TERMS
name, arguments, patch = json.loads(sys.argv[1])
torch.set_num_threads(1)
patch = tuple(patch)
architecture = resolve_monai(Model(preset="monai", network=name, arguments=arguments), patch)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
network = build_monai_network(architecture).train()
average = WeightAverage(network, 0.99)
optimizer = AdamW(network.parameters(), weight_decay=0.01)
for _ in range(2):
    labels = (torch.rand(1, 1, *patch) < 0.1).to(torch.uint8)
    targets = compute_loss_targets(labels, head_shapes=architecture.head_shapes(patch))
    heads = network(torch.randn(1, 1, *patch))
    weights = {"weighted_bce": 1.0, "soft_dice": 1.0}
    compute_combined_loss(heads, targets, weights).total.backward()
    optimizer.step(1e-3)
    average.update(network)
    optimizer.forget_gradients()
print(peak() - before, architecture.estimate_training_bytes())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the greatest memory is asked of Unix")
@pytest.mark.parametrize(
    ("name", "arguments", "patch"),
    [
        ("SegResNetDS", {"init_filters": 16}, (64, 64, 64)),
        ("SwinUNETR", {"feature_size": 24}, (32, 64, 64)),
    ],
)
def test_the_estimate_is_within_a_third_of_what_a_step_takes(name, arguments, patch):
    given = json.dumps([name, arguments, patch])
    found = subprocess.run(
        [sys.executable, "-c", RSS, given], capture_output=True, text=True, check=True
    )
    measured, estimated = map(int, found.stdout.split()[-2:])
    assert 0.66 < estimated / measured < 1.5, (measured, estimated)


def test_estimates_grow_with_patch_batch_and_precision():
    small = resolve_monai(model_of("UNet"), (32, 32, 32))
    large = resolve_monai(model_of("UNet"), (64, 32, 32))
    assert large.activation_bytes > 1.8 * small.activation_bytes
    assert small.estimate_training_bytes(batch_size=2) > small.estimate_training_bytes()
    assert small.estimate_training_bytes(bytes_per_value=2) < small.estimate_training_bytes()


def test_our_own_networks_import_no_monai():
    code = (
        "import sys\n"
        "import napari_surfseg.training.trainer, napari_surfseg.inference.predict_volume\n"
        "from napari_surfseg.config import Model\n"
        "from napari_surfseg.model.networks import build_network, find_weights, resolve_network\n"
        "model = Model(preset='tiny')\n"
        "build_network(model, (32, 32, 32)), find_weights(model, (32, 32, 32))\n"
        "resolve_network(model, (32, 32, 32))\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not re.search(r"'(monai|einops)'", done.stdout)
