import pytest

from napari_surfseg.model.network_kinds import find_shared_network, is_nnunet_folder


@pytest.fixture
def results(tmp_path):
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "plans.json").write_text("{}")
    (tmp_path / "fold_0/checkpoint_final.pth").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("name", ["", "fold_0", "fold_0/checkpoint_final.pth"])
def test_an_nnunet_result_is_known_by_its_plans(results, name):
    assert is_nnunet_folder(results / name)
    (results / "plans.json").unlink()
    assert not is_nnunet_folder(results / name)


def test_folders_and_what_is_opened_of_them(results):
    assert find_shared_network(results) == results
    bundle = results / "bundle"
    (bundle / "configs").mkdir(parents=True)
    assert find_shared_network(bundle) is None
    (bundle / "configs/metadata.json").write_text("{}")
    assert find_shared_network(bundle) == bundle / "models" / "model.safetensors"
