import math

import pytest

from napari_surfseg.runs.worker.train_log import (
    LineStream,
    TrainLog,
    describe_cache,
    describe_patches,
)
from napari_surfseg.wording import (
    align_columns,
    format_bytes,
    format_duration,
    format_number,
    format_percent,
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
    assert [format_bytes(v) for v in (0, 1023, 2048, 1.5 * 2**20, 2**31, 2**45)] == [
        "0 B",
        "1023 B",
        "2 KiB",
        "1.5 MiB",
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


def test_lines_come_whole():
    seen = []
    stream = LineStream(seen.append)
    assert stream.write("one\ntw") == 6
    stream.write("o\n10 %\r20 %\r30 %\nrest")
    assert seen == ["one", "two", "30 %"]
    stream.finish()
    stream.finish()
    assert seen[-1] == "rest"
    assert stream.writable()
    assert not stream.isatty()


def test_the_log_dates_every_line_and_survives_a_full_disk(tmp_path):
    shown = []
    log = TrainLog(tmp_path / "train.log", shown.append)
    log.write("one\ntwo")
    log.write("three", show=False)
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line[21:] for line in lines] == ["one", "two", "three"]
    assert shown == ["one", "two"]
    TrainLog(tmp_path / "no" / "such" / "folder.log").write("nothing happens")


def test_patches_and_cache_in_words():
    patches = {
        "foreground_fraction": 0.021,
        "foreground_centred_share": 0.65,
        "ignored_fraction": None,
        "sources": {"a": 3, "b": 7},
    }
    assert describe_patches(patches) == (
        "centred on the surface 65.0 %, surface voxels 2.1 %, from a 3, b 7"
    )
    assert describe_patches({}) == ""
    assert describe_cache({}) == ""
    assert describe_cache({"hits": 1, "misses": 2}) == "1 hits, 2 misses"
