import pytest

from napari_surfseg.gui.controls.label_schemes import suggest_meanings


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
