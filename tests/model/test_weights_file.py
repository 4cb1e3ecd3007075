import dataclasses
import json
import struct

import pytest
import torch

from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.weights_file import load_weights_file, save_weights_file


@pytest.fixture
def path(tmp_path, tiny_checkpoint):
    path = tmp_path / "model.safetensors"
    save_weights_file(path, tiny_checkpoint)
    return path


def rewrite(path, change):
    """Change the table at the beginning of the file; the tensors stay."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header = change(header) or header
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def change_description(change):
    def apply(header):
        values = json.loads(header["__metadata__"]["napari_surfseg"])
        change(values)
        header["__metadata__"]["napari_surfseg"] = json.dumps(values)

    return apply


def test_what_is_saved_comes_back(path, tiny_checkpoint):
    found = load_weights_file(path)
    for field in dataclasses.fields(tiny_checkpoint):
        if field.name != "weights":
            assert getattr(found, field.name) == getattr(tiny_checkpoint, field.name), field.name
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(found.build_model()(image), tiny_checkpoint.build_model()(image))


def test_what_resuming_needs_is_left_out(tmp_path, tiny_checkpoint):
    path = tmp_path / "model.safetensors"
    save_weights_file(path, dataclasses.replace(tiny_checkpoint, training={"step": 1}))
    assert load_weights_file(path).training is None


def test_half_the_size_in_float16(tmp_path, path, tiny_checkpoint):
    half = tmp_path / "half.safetensors"
    save_weights_file(half, tiny_checkpoint, dtype=torch.float16)
    weights = load_weights_file(half).weights
    assert half.stat().st_size < 0.7 * path.stat().st_size
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, tiny_checkpoint.weights[name], atol=1e-3)


def test_other_programs_read_the_tensors(path, tiny_checkpoint):
    from safetensors.torch import load_file

    assert load_file(path).keys() == tiny_checkpoint.weights.keys()


def test_tied_weights_are_written_each(tmp_path, tiny_checkpoint):
    name = next(iter(tiny_checkpoint.weights))
    tied = {**tiny_checkpoint.weights, "stray": tiny_checkpoint.weights[name]}
    path = tmp_path / "tied.safetensors"
    save_weights_file(path, dataclasses.replace(tiny_checkpoint, weights=tied))
    with pytest.raises(CheckpointError, match="stray"):
        load_weights_file(path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(lambda p: p.unlink(), "There is no checkpoint", id="missing"),
        pytest.param(lambda p: p.write_bytes(b""), "damaged", id="empty"),
        pytest.param(lambda p: p.write_bytes(p.read_bytes()[:1000]), "damaged", id="half"),
        pytest.param(lambda p: p.write_bytes(p.read_bytes()[:-1]), "damaged", id="a byte short"),
        pytest.param(lambda p: p.write_text("hello " * 99), "damaged", id="text"),
        pytest.param(
            lambda p: p.write_bytes(struct.pack("<Q", 2**60) + b"{}"), "damaged", id="long table"
        ),
        pytest.param(lambda p: rewrite(p, lambda _h: [1]), "damaged", id="a list"),
        pytest.param(
            lambda p: rewrite(p, lambda h: h["stem.0.weight"].update(shape=[2**40, 2**20])),
            "damaged",
            id="more than the file holds",
        ),
        pytest.param(
            lambda p: rewrite(p, lambda h: h.update({"__metadata__": {}})), "weights only",
            id="of another program",
        ),
        pytest.param(
            lambda p: rewrite(
                p, lambda h: h["__metadata__"].update(napari_surfseg_version="9")
            ),
            "update napari-surfseg",
            id="newer",
        ),
        pytest.param(
            lambda p: rewrite(p, lambda h: h["__metadata__"].update(napari_surfseg="[" * 9999)),
            "description cannot be read",
            id="deep description",
        ),
        pytest.param(
            lambda p: rewrite(p, lambda h: h["__metadata__"].update(napari_surfseg="3")),
            "description cannot be read",
            id="no description",
        ),
        pytest.param(
            lambda p: rewrite(p, change_description(lambda v: v.pop("threshold"))), "threshold",
            id="without threshold",
        ),
        pytest.param(
            lambda p: rewrite(p, change_description(lambda v: v.update(spacing=[0, 1, 1]))),
            "damaged",
            id="no voxel size",
        ),
        pytest.param(
            lambda p: rewrite(p, change_description(lambda v: v["experiment"].update(other=1))),
            "other",
            id="unknown setting",
        ),
        pytest.param(
            lambda p: rewrite(
                p,
                change_description(lambda v: v["experiment"]["model"].update(base_channels=8)),
            ),
            "shape",
            id="another size",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(path, damage, says):
    damage(path)
    with pytest.raises(CheckpointError, match=says) as caught:
        load_weights_file(path)
    sentence = str(caught.value)
    assert "model.safetensors" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
