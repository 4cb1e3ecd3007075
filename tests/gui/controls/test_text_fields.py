import pytest

from napari_surfseg.gui.controls.text_fields import (
    ValueField,
    read_mapping,
    read_number,
    read_numbers,
)


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), (" 2.5 ", 2.5), ("1e-4", 1e-4), ("0,5", 0.5), ("abc", "abc")]
)
def test_a_number_is_read_or_left_for_the_configuration_to_refuse(text, value):
    assert read_number(text) == value
    assert type(read_number(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "value"), [("1, 2, 4", [1, 2, 4]), ("4 2.5", [4, 2.5]), ("1, x", "1, x")]
)
def test_several_numbers_stand_between_commas_or_spaces(text, value):
    assert read_numbers(text) == value


def test_an_empty_line_is_the_default(qtbot):
    field = ValueField("rate", empty="auto", placeholder="automatic")
    qtbot.addWidget(field)
    assert field.value() == "auto"
    field.set_value(0.5)
    assert (field.text(), field.value()) == ("0.5", 0.5)
    field.set_value("auto")
    assert field.text() == ""
    field.set_value([1, 2])
    assert field.text() == "1, 2"


def test_only_another_text_is_settled(qtbot):
    field = ValueField("rate")
    qtbot.addWidget(field)
    settled = []
    field.settled.connect(lambda: settled.append(field.value()))
    field.setText("3")
    field.editingFinished.emit()
    field.editingFinished.emit()
    assert settled == [3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "init_filters: 16, blocks_down: [1, 2, 2]",
            {"init_filters": 16, "blocks_down": [1, 2, 2]},
        ),
        ("{norm: [instance, {affine: true}]}", {"norm": ["instance", {"affine": True}]}),
        ("  ", {}),
        ("a: [1", "a: [1"),
        ("[1, 2]", "[1, 2]"),
        ("a: 1}", "a: 1}"),
        ("init_filters", {"init_filters": None}),
    ],
)
def test_named_values_are_read_or_left_for_the_configuration_to_refuse(text, value):
    assert read_mapping(text) == value
