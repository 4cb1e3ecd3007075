"""The list of networks: what is known without weights; how these are found and fetched."""

import hashlib
import http.server
import subprocess
import sys
import threading

import pytest

from napari_surfseg.errors import CheckpointError
from napari_surfseg.networks.registry import (
    find_network,
    find_start_network,
    is_network_name,
    list_networks,
    locate_weights,
)


def test_the_first_is_the_default(registry):
    registry.add("first")
    registry.add("second", model={"preset": "small"})
    assert [network.name for network in list_networks()] == ["first", "second"]
    assert find_network().name == "first"
    assert find_network("second").model == {"preset": "small"}


def test_without_any_a_checkpoint_is_wanted(registry):
    with pytest.raises(CheckpointError, match=r"^No network comes .* name a checkpoint\.$"):
        find_network()


def test_another_name_is_refused_with_those_there_are(registry):
    registry.add("first")
    registry.add("second")
    with pytest.raises(CheckpointError, match=r"no network 'third'.*first or second"):
        find_network("third")


@pytest.mark.parametrize("value", ["./sheets-tiny", "sheets", None, 3, "auto", "none"])
def test_only_the_very_name_is_a_name(registry, value):
    registry.add()
    assert is_network_name("sheets-tiny")
    assert not is_network_name(value)


def test_a_start_is_of_the_same_preset_and_at_hand(registry):
    registry.add("far", model={"preset": "small"}, url="http://localhost:9/far")
    registry.add("near")
    assert find_start_network("tiny").name == "near"
    assert find_start_network("small") is None
    assert find_start_network("base") is None


def test_weights_that_are_missing_or_others_are_refused(registry):
    path = registry.add()
    assert locate_weights(find_network()) == path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"is damaged: .* install napari-surfseg again\.$"):
        locate_weights(find_network())
    path.unlink()
    with pytest.raises(CheckpointError, match=r"missing: there is no .*sheets-tiny\.safetensors"):
        locate_weights(find_network())


@pytest.fixture
def server(tmp_path):
    """Serve a folder over HTTP; returns (folder, URL, the paths that were asked for)."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, _format, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def publish(registry, server, name="far"):
    folder, url, _ = server
    path = registry.add(name, url=f"{url}/{name}.safetensors")
    return path.rename(folder / path.name)


def test_what_is_not_in_the_package_is_fetched_once(registry, server):
    published = publish(registry, server)
    assert not find_network().is_at_hand
    first = locate_weights(find_network())
    assert first.read_bytes() == published.read_bytes()
    assert find_network().is_at_hand
    published.unlink()
    assert locate_weights(find_network()) == first
    assert len(server[2]) == 1


def test_another_file_than_the_published_one_is_not_kept(registry, server, tmp_path):
    publish(registry, server).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match=r"is not the file of far.* nothing was kept\.$"):
        locate_weights(find_network())
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_damaged_in_the_cache_is_refused(registry, server):
    publish(registry, server)
    path = locate_weights(find_network())
    path.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="remove that file, and it is fetched again"):
        locate_weights(find_network())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/far.safetensors", "{server}/absent"])
def test_what_cannot_be_fetched_is_one_sentence(registry, server, url):
    registry.add("far", url=url.format(server=server[1]))
    with pytest.raises(
        CheckpointError, match=r"^The weights of far could not .* put it at .*cache"
    ):
        locate_weights(find_network())


def test_importing_the_package_and_the_list_load_no_weights():
    """Neither torch nor safetensors, and no file of weights is opened."""
    script = (
        "import builtins, io, sys\n"
        "opened = []\n"
        "note = lambda name, args: opened.append(str(args[0])) if name == 'open' else None\n"
        "sys.addaudithook(note)\n"
        "import napari_surfseg, napari_surfseg.api, napari_surfseg.config_files\n"
        "from napari_surfseg.networks.registry import list_networks\n"
        "list_networks()\n"
        "assert not {'torch', 'safetensors', 'pooch'} & set(sys.modules), sys.modules\n"
        "assert not [path for path in opened if path.endswith('.safetensors')], opened\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_shipped_ones_are_whole_and_small():
    """Each entry of the package names a file with that checksum, below 4 MB."""
    for network in list_networks():
        assert network.finds
        assert network.licence
        assert 0 < network.threshold < 1
        if network.url is None:
            path = locate_weights(network)
            assert path.stat().st_size < 4e6
            assert hashlib.sha256(path.read_bytes()).hexdigest() == network.sha256
