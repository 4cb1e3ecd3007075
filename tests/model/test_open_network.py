import pytest

from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.checkpoint import save_checkpoint
from napari_surfseg.model.open_network import open_network
from napari_surfseg.model.weights_file import save_weights_file


def test_every_kind_is_opened(tmp_path, tiny_checkpoint):
    bundle = tmp_path / "bundle"
    (bundle / "configs").mkdir(parents=True)
    (bundle / "models").mkdir()
    (bundle / "configs/metadata.json").write_text("{}")
    save_weights_file(bundle / "models/model.safetensors", tiny_checkpoint)
    save_checkpoint(tmp_path / "best.pt", tiny_checkpoint)
    for path in (tmp_path / "best.pt", bundle, bundle / "models/model.safetensors", str(bundle)):
        assert open_network(path).experiment == tiny_checkpoint.experiment


def test_a_bundle_of_another_program_is_one_sentence(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        open_network(tmp_path)


def test_any_other_folder_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder"):
        open_network(tmp_path)
