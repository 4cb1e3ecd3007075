"""Any line in ``commands.jsonl`` is a command or a sentence about it."""

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_surfseg import events
from napari_surfseg.runs.worker.command_lines import (
    KINDS_OF_VALUE,
    MalformedCommand,
    parse_command,
)


def line(kind, **values):
    return json.dumps({"kind": kind, "id": "one", "time": 1.0, **values}).encode()


MALFORMED = {
    "a list of weights": (line("SetLossWeights", weights=[1, 2]), "weights [1, 2]"),
    "a weight as a text": (line("SetLossWeights", weights={"cldice": "1"}), "weights"),
    "a weight of none": (line("SetLossWeights", weights={"cldice": None}), "weights"),
    "a weight beyond numbers": (line("SetLossWeights", weights={"cldice": 10**400}), "weights"),
    "no weights": (line("SetLossWeights"), "lacks weights"),
    "epochs as a text": (
        line("SetTraining", max_epochs="9"),
        'max_epochs "9", but it',
    ),
    "half an epoch": (line("SetTraining", max_epochs=1.5), "max_epochs 1.5"),
    "true epochs": (line("SetTraining", max_epochs=True), "max_epochs true"),
    "epochs beyond all": (line("SetTraining", max_epochs=10**30), "whole number of ordinary size"),
    "minutes as a list": (line("SetTraining", max_minutes=[3]), "max_minutes [3]"),
    "a rate that is NaN": (line("SetTraining", learning_rate_scale=float("nan")), "finite number"),
    "a share as a text": (line("SetTraining", foreground_share="half"), "foreground_share"),
    "two numbers for a place": (line("SetPreview", center=[1, 2]), "three whole numbers (Z, Y, X)"),
    "four numbers for a size": (line("SetPreview", size=[1, 2, 3, 4]), "size [1, 2, 3, 4]"),
    "a fraction of a voxel": (line("SetPreview", center=[1, 2, 0.5]), "center"),
    "a number for an image": (line("SetPreview", image=3), "image 3, but it must be a text"),
    "a size as a text": (line("SetPreview", size="big"), 'size "big"'),
    "an image with a zero byte": (line("SetPreview", image="a\0b"), "image"),
    "strokes with a zero byte": (line("UpdateLabels", labels="a", strokes="a\0"), "strokes"),
    "no strokes": (line("UpdateLabels", labels="a"), "lacks strokes"),
    "a time as a text": (line("Stop").replace(b"1.0", b'"now"'), 'time "now"'),
    "an unknown command": (line("Halt"), "no command 'Halt'; there are Stop, "),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_command_is_one_sentence(case):
    given_line, says = MALFORMED[case]
    found = parse_command(given_line)
    assert isinstance(found, MalformedCommand)
    assert found.id == "one"
    assert says in found.message
    assert found.message.endswith(".")
    assert len(found.message) < 300


@pytest.mark.parametrize(
    "damaged", [b"{", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 100_000, b'{"kind":["Stop"]}']
)
def test_a_damaged_line_is_one_sentence(damaged):
    found = parse_command(damaged)
    assert isinstance(found, MalformedCommand)
    assert not found.id
    assert len(found.message) < 300


def test_every_field_of_every_command_is_checked():
    for cls in events.Command.kinds.values():
        for item in dataclasses.fields(cls):
            assert str(item.type).removesuffix(" | None") in KINDS_OF_VALUE


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    assert parse_command(data)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(sorted(events.Command.kinds)),
    st.dictionaries(
        st.sampled_from(["weights", "center", "size", "max_epochs", "image", "seconds", "time"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    ),
)
def test_no_values_raise(kind, values):
    found = parse_command(json.dumps({"kind": kind, "id": "one", **values}).encode())
    assert isinstance(found, events.Command | MalformedCommand)
