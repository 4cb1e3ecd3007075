"""What a parameter of a tool says of itself, and what it refuses."""

from __future__ import annotations

from typing import Annotated

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.surface_tools.setting import Setting, check_settings, list_parameters


def tool(
    values,
    *,
    spacing: tuple[float, float, float] = (1, 1, 1),
    size: Annotated[int, Setting("How large", 1, 9, unit="voxels")] = 3,
    share: Annotated[float, Setting("How much", 0)] = 0.5,
    kind: Annotated[str, Setting("Which", choices=("a", "b"))] = "a",
    whole: Annotated[bool, Setting("All")] = False,
):
    """Do nothing."""


def test_only_what_has_a_meaning_is_a_setting():
    assert [p.name for p in list_parameters(tool)] == ["size", "share", "kind", "whole"]
    assert [p.kind for p in list_parameters(tool)] == [int, float, str, bool]


def test_defaults_are_added():
    assert check_settings(tool, {"size": 4}) == {
        "size": 4, "share": 0.5, "kind": "a", "whole": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("size", 0, "a whole number, 1 to 9"),
        ("size", 10, "a whole number, 1 to 9"),
        ("size", 2.5, "a whole number, 1 to 9"),
        ("size", "x", "a whole number, 1 to 9"),
        ("size", True, "a whole number, 1 to 9"),
        ("share", -0.1, "at least 0"),
        ("share", float("nan"), "at least 0"),
        ("kind", "c", "a or b"),
        ("kind", 1, "a or b"),
        ("whole", "yes", "true or false"),
    ],
)
def test_what_is_not_allowed_is_one_sentence(name, value, allowed):
    with pytest.raises(ConfigError) as caught:
        check_settings(tool, {name: value})
    assert str(caught.value) == f"The {name} is {value!r}; it must be {allowed}."
    assert caught.value.field == name


def test_an_unknown_setting_names_those_there_are():
    with pytest.raises(ConfigError, match="no setting 'colour'; there are size, share, kind"):
        check_settings(tool, {"colour": 1})
