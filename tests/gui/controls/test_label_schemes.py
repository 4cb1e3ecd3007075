import pytest

from napari_surfseg.gui.controls.label_schemes import (
    describe_objects,
    suggest_meanings,
    suggest_scheme,
)

STROKES = {0: "ignore", 1: "foreground", 2: "background"}
DENSE = {0: "background", 1: "foreground", 2: "ignore"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1], {0: "background", 1: "foreground"}),
        ([0, 255], {0: "background", 255: "foreground"}),
        ([0, 1, 2], {0: "background", 1: "foreground", 2: "ignore"}),
        ([1], {1: "foreground"}),
        ([0], {0: "background"}),
        ([0, 1, 7], {0: "background", 1: "foreground", 7: "ignore"}),
    ],
)
def test_meanings_are_guessed(values, expected):
    assert suggest_meanings(values) == expected


@pytest.mark.parametrize(
    ("counts", "meanings", "says"),
    [
        ({0: 1000}, {0: "ignore"}, "Nothing is painted yet"),
        ({0: 100_000, 1: 10}, {0: "ignore", 1: "foreground"}, "Taken for strokes"),
        ({0: 100_000, 2: 1}, {0: "ignore", 2: "background"}, "1 voxel is painted"),
        ({0: 100_000, 1: 10, 2: 10}, STROKES, "Choose dense if"),
        ({0: 90_000, 1: 5000}, {0: "background", 1: "foreground"}, ""),
        ({0: 90_000, 1: 5000, 2: 5000}, DENSE, ""),
        ({0: 90_000, 255: 5}, {0: "background", 255: "foreground"}, ""),
        ({}, {}, ""),
    ],
)
def test_what_was_assumed_is_said(counts, meanings, says):
    found, said = suggest_scheme(counts)
    assert found == meanings
    assert says in said
    assert bool(said) == bool(says)


def test_objects_are_described_by_their_values():
    said = describe_objects({0: 25, 3: 50, 1200: 25})
    assert said.startswith("3 values from 0 to 1,200, 0 is 25% of the volume: taken for objects")
    assert "0 is" not in describe_objects({1: 3, 2: 4})
