"""Files of a few kB that ask for any amount of memory, and what checkpoints really hold."""

import contextlib
import io
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CheckpointError
from napari_surfseg.model import checkpoint_archive
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.checkpoint_archive import UnsafeArchiveError, check_archive
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet


@pytest.fixture
def path(tmp_path):
    return tmp_path / "hostile.pt"


def rewrite(path, change=None, content=None, **records):
    """Save some tensors as torch does, with the pickled contents or records changed."""
    buffer = io.BytesIO()
    torch.save({"format": "a", "weights": {"w": torch.zeros(8)}, "n": [1, 2.5, None]}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith("data.pkl"):
                data = change(data) if change else data
                data = data if content is None else content
            target.writestr(info.filename, data, **records)


def expanded(path):
    torch.save({"weights": torch.zeros(1).expand(10**6, 10**6)}, path)


def expanded_deep_inside(path):
    torch.save({"training": {"optimizer": [{"m": torch.zeros(1).expand(10**9)}]}}, path)


def overlapping_strides(path):
    torch.save({"weights": torch.zeros(100).as_strided((99, 99), (1, 0))}, path)


def sharing(path):
    """Many tensors of one storage: little to read, much to copy."""
    whole = torch.zeros(1000)
    torch.save({"weights": [whole.view(10, 100) for _ in range(1000)]}, path)


def too_long_a_storage(path):
    rewrite(path, lambda data: data.replace(b"K\x08tq", b"Kxtq"))


def compressed(path):
    rewrite(path, compress_type=zipfile.ZIP_DEFLATED)


def twice(path):
    torch.save({"a": torch.zeros(3)}, path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"")


def foreign_folder(path):
    torch.save({"a": torch.zeros(3)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("elsewhere/data.pkl", b"")


def nested(path):
    """A list of two lists of two lists ...: ten lines of text, and 2^40 values."""
    values = []
    for _ in range(40):
        values = [values, values]
    torch.save({"experiment": values}, path)


def circular(path):
    values = []
    values.append(values)
    torch.save({"experiment": values}, path)


def many_texts(path):
    torch.save({"experiment": ["x" * 10_000] * 1000}, path)


class Allocate:
    def __reduce__(self):
        return (bytearray, (10**12,))


def allocating(path):
    rewrite(path, content=pickle.dumps({"a": Allocate()}, protocol=2))


def tensor_by_name(path):
    rewrite(path, content=b"\x80\x02ctorch\nTensor\nM\xff\xffM\xff\xff\x86R.")


def far_memory(path):
    rewrite(path, content=b"\x80\x02]r\xff\xff\xff\x7f.")


def newer_protocol(path):
    rewrite(path, content=pickle.dumps({"a": bytearray(3)}, protocol=5))


def legacy(path):
    torch.save({"weights": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def sparse(path):
    torch.save(
        {"weights": torch.sparse_coo_tensor([[0]], [1.0], (10**9,), check_invariants=True)}, path
    )


def on_no_device(path):
    torch.save({"weights": torch.empty(10**9, device="meta")}, path)


def without_contents(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/b", b"")


def half(path):
    torch.save({"weights": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


HOSTILE = (
    expanded, expanded_deep_inside, overlapping_strides, sharing, too_long_a_storage, compressed,
    twice, foreign_folder, nested, circular, many_texts, allocating, tensor_by_name, far_memory,
    newer_protocol, legacy, sparse, on_no_device, without_contents, half,
)  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused_in_a_sentence_before_torch_reads_it(path, make, monkeypatch):
    make(path)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch read it"))
    with pytest.raises(CheckpointError, match=r"hostile\.pt is damaged, or not") as caught:
        load_checkpoint(path)
    assert str(caught.value).endswith("; it was not opened.")
    assert "\n" not in str(caught.value)


LIMITED = """
import resource, sys
import napari_surfseg.model.checkpoint as checkpoint
from napari_surfseg.errors import CheckpointError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    checkpoint.load_checkpoint(sys.argv[1])
except CheckpointError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB there")
@pytest.mark.parametrize("make", [expanded, nested, allocating, far_memory, compressed])
def test_a_hostile_file_takes_no_memory(path, make):
    make(path)
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 50, "MB"


def test_all_that_a_training_saves_is_allowed(path):
    model = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 1, 5, 5, 5)).sum().backward()
    optimizer.step()
    values = {
        "weights": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "kinds": [torch.zeros(3, dtype=getattr(torch, name)) for name in (
            "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64",
            "bool",
        )],
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 4),
        "parameter": torch.nn.Parameter(torch.zeros(2)),
        "turned": torch.zeros(3, 4).T,
        "last_channel": torch.zeros(1, 2, 3, 3, 3).to(memory_format=torch.channels_last_3d),
        "ordered": OrderedDict(a=1),
        "plain": [1, -1, 10**20, 2.5, "text", None, True, (1, 2, 3, 4), {}, float("inf")],
    }  # fmt: skip
    torch.save(values, path)
    check_archive(path)
    assert torch.load(path, weights_only=True).keys() == values.keys()


def test_a_large_network_with_its_optimizer_is_allowed(path):
    experiment = Experiment(model={"preset": "small"})
    network = build_unet(experiment.model)
    weights = network.state_dict()
    save_checkpoint(
        path,
        Checkpoint(
            experiment=experiment,
            weights=weights,
            intensity=Intensity(0.0, 255.0, 0.4, 0.2),
            patch_size=(64, 64, 64),
            spacing=(1.0, 1.0, 1.0),
            training={"weights": weights, "optimizer": {"state": {"m": dict(weights)}}},
        ),
    )
    assert load_checkpoint(path).weights.keys() == weights.keys()


def test_random_damage_is_one_error(path):
    torch.save({"weights": torch.zeros(20), "text": "abc"}, path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(UnsafeArchiveError):
            check_archive(path)


def test_a_budget_of_values(path, monkeypatch):
    monkeypatch.setattr(checkpoint_archive, "MAX_VALUES", 10)
    torch.save(list(range(9)), path)
    check_archive(path)
    torch.save(list(range(10)), path)
    with pytest.raises(UnsafeArchiveError, match="far more memory"):
        check_archive(path)
