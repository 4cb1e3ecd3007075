"""``surfseg networks``."""

import pytest


def test_each_is_listed_with_its_facts(surfseg, registry):
    registry.add("sheets-tiny", title="Thin sheets", licence="CC BY 4.0", attribution="A dataset")
    registry.add("far", model={"preset": "small"}, url="http://127.0.0.1:9/far.safetensors")
    code, out, err = surfseg("networks")
    assert (code, err) == (0, "")
    for said in (
        "sheets-tiny: Thin sheets",
        "CC BY 4.0",
        "A dataset",
        "1.5 to 5 voxels",
        "in the package",
        "preset small",
        "from http://127.0.0.1:9/far.safetensors",
    ):
        assert said in out
    assert max(map(len, out.splitlines())) <= 100


def test_none_is_a_sentence(surfseg, registry):
    assert surfseg("networks") == (0, "No network comes with this installation.\n", "")


def test_fetching_says_where_it_lies(surfseg, registry):
    path = registry.add()
    assert surfseg("networks", "--fetch", "sheets-tiny")[1] == f"sheets-tiny: {path}\n"
    code, _, err = surfseg("networks", "--fetch", "other")
    assert code == 2
    assert err.startswith("There is no network 'other'")


@pytest.mark.parametrize("name", ["far"])
def test_what_cannot_be_fetched_is_a_sentence(surfseg, registry, name):
    registry.add(name, url="http://127.0.0.1:9/far.safetensors")
    code, _, err = surfseg("networks", "--fetch", name)
    assert code == 2
    assert "could not be fetched" in err
