"""Numbers, sizes and scores as text."""

import math

import pytest

from napari_surfseg.wording import (
    align_columns,
    describe_scores,
    format_bytes,
    format_duration,
    format_number,
    format_percent,
    format_short,
    list_words,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (187, "3 min 07 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (300_000, "3 d 11 h"),
        (None, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (0, "0.000"),
        (0.0001, "1.0e-04"),
        (-3, "-3.000"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_numbers(value, text):
    assert format_number(value) == text


def test_percent_and_bytes():
    assert [format_percent(v) for v in (0, 0.123, 0.9999, 1, None)] == [
        "0 %",
        "12.3 %",
        "100 %",
        "100 %",
        "–",
    ]
    sizes = (0, 1023, 2048, 1.5 * 2**20, 1010 * 2**20, 2**31, 2**45)
    assert [format_bytes(v) for v in sizes] == [
        "0 B",
        "1023 B",
        "2 KiB",
        "1.5 MiB",
        "1010 MiB",
        "2 GiB",
        "32 TiB",
    ]


def test_lists_and_columns():
    assert [list_words(v) for v in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert align_columns([["a", "1"], ["bcd", "23"]], numbers={1}) == "a     1\nbcd  23"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.12345, "0.123"), (12.345, "12.3"), (1234.5, "1234"), (1e-5, "1e-05")],
)
def test_short_numbers(value, text):
    assert format_short(value) == text


def test_scores_have_names_and_the_vocabulary_s_order():
    scores = {"dice": 0.7, "surface_dice": 0.91, "voi_score": None, "b0_pred": 3.0}
    assert describe_scores(scores) == ["surface Dice 0.910", "Dice 0.700"]
    assert describe_scores(scores, ["dice", "recall"]) == ["Dice 0.700"]
