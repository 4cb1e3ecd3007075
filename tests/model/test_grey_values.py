"""Grey values that do not fit a network's: rescaled where a type explains it, else said."""

import json

import numpy as np
import pytest

from napari_surfseg.model.grey_values import (
    AS_THEY_ARE,
    GreyValues,
    fit_grey_values,
    measure_grey_values,
)
from napari_surfseg.model.intensity import Intensity

#: A scan, in shares of the range of its type: dark between bright sheets.
SCAN = np.concatenate(
    [
        np.random.default_rng(0).normal(0.3, 0.06, 30_000),
        np.random.default_rng(1).normal(0.6, 0.08, 10_000),
    ]
).clip(0, 1)
#: Another of the same kind, a little brighter.
OTHER = (SCAN * 1.1 + 0.03).clip(0, 1)

#: How the same shares are stored, and what brings a stored value back to 0..1.
KINDS = {
    "uint8": lambda shares: np.rint(shares * 255).astype(np.uint8),
    "uint16": lambda shares: np.rint(shares * 65535).astype(np.uint16),
    "int16": lambda shares: np.rint(shares * 65535 - 32768).astype(np.int16),
    "int8": lambda shares: np.rint(shares * 255 - 128).astype(np.int8),
    "float 0..1": lambda shares: shares.astype(np.float32),
    "float -1..1": lambda shares: (shares * 2 - 1).astype(np.float32),
    "float 0..255": lambda shares: (shares * 255).astype(np.float32),
    "float 0..65535": lambda shares: (shares * 65535).astype(np.float64),
    "uint8 in uint16": lambda shares: np.rint(shares * 255).astype(np.uint16),
    "uint8 in int32": lambda shares: np.rint(shares * 255).astype(np.int32),
    "uint16 by 256": lambda shares: np.rint(shares * 255).astype(np.uint16) * np.uint16(256),
    "uint16 by 257": lambda shares: np.rint(shares * 255).astype(np.uint16) * np.uint16(257),
}
#: Values of which the type does not say that they are 0 to 255.
NARROW = {"uint8 in uint16", "uint8 in int32"}
WIDE = {"uint16", "int16", "float 0..1", "float -1..1", "float 0..65535", "int8"}
#: The range is the same, whatever the type.
SAME = [
    {"uint8", "float 0..255", *NARROW},
    {"uint16", "float 0..65535", "uint16 by 256", "uint16 by 257"},
]


def measure(values):
    return measure_grey_values(values, values.dtype)


def fit(found, trained, mode="auto"):
    return fit_grey_values(found, trained, mode, name="scan.tif")


PAIRS = [
    (found, trained)
    for found in KINDS
    for trained in KINDS
    if not ({found, trained} & NARROW) or any({found, trained} <= same for same in SAME)
]


@pytest.mark.parametrize(("found", "trained"), PAIRS)
def test_a_change_of_type_is_undone(found, trained):
    values = KINDS[found](OTHER)
    made = fit(measure(values), measure(KINDS[trained](SCAN)))
    assert made.warning == ""
    expected = KINDS[trained](OTHER).astype(np.float64)
    width = np.ptp(expected)
    # An 8-bit copy holds no more than its 256 levels.
    scaled = values.astype(np.float64) * made.scale + made.offset
    assert np.abs(scaled - expected).max() <= 0.012 * width
    if found == trained or any({found, trained} <= same for same in SAME):
        assert made == AS_THEY_ARE
    else:
        assert made.note.startswith("The grey values of scan.tif, ")
        assert "were multiplied by" in made.note


@pytest.mark.parametrize(("found", "trained"), PAIRS)
def test_the_network_sees_the_same_bytes(found, trained):
    theirs = KINDS[trained](SCAN)
    intensity = Intensity(*np.percentile(theirs, [0.5, 99.5]), 0.4, 0.2, measure(theirs))
    values = KINDS[found](OTHER)
    made = intensity.after(fit(measure(values), intensity.values)).to_uint8(values)
    expected = intensity.to_uint8(KINDS[trained](OTHER))
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 4


@pytest.mark.parametrize(
    ("found", "trained"),
    [
        # An 8-bit copy of a narrow range of 16 bits, as a viewer's contrast makes it.
        (KINDS["uint8"](SCAN), np.rint(SCAN * 4000 + 12_000).astype(np.uint16)),
        (KINDS["uint8"](SCAN), np.rint(SCAN * 4095).astype(np.uint16)),
        (np.rint(SCAN * 4095).astype(np.uint16), KINDS["uint8"](SCAN)),
        (KINDS["uint16"](SCAN), KINDS["uint8 in uint16"](SCAN)),
        (KINDS["uint8"](SCAN), (SCAN * 0.003).astype(np.float32)),
        ((SCAN * 3000 - 1000).astype(np.float32), KINDS["uint8"](SCAN)),
        ((SCAN * 3000 - 1000).astype(np.int16), KINDS["uint8"](SCAN)),
        ((SCAN * 1e6).astype(np.float32), KINDS["float 0..1"](SCAN)),
        ((SCAN * 4e9).astype(np.uint32), KINDS["uint8"](SCAN)),
        ((SCAN * 0.01).astype(np.float32), KINDS["float 0..1"](SCAN)),
        (KINDS["uint16"](SCAN) // 20 + 60_000, KINDS["uint16"](SCAN)),
    ],
)
def test_what_no_type_explains_is_said_and_can_be_matched(found, trained):
    made = fit(measure(found), measure(trained))
    assert made.is_identity
    assert made.note == ""
    assert "set inference.intensity to match" in made.warning
    assert measure(found).describe() in made.warning
    assert measure(trained).describe() in made.warning
    matched = fit(measure(found), measure(trained), "match")
    assert "were matched" in matched.note
    scaled = found.astype(np.float64) * matched.scale + matched.offset
    limits = np.percentile(scaled, [0.5, 99.5])
    assert limits == pytest.approx(np.percentile(trained, [0.5, 99.5]), rel=0.02)
    assert fit(measure(found), measure(trained), "as_is") == AS_THEY_ARE


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    "change", [lambda s: s, lambda s: s * 0.5, lambda s: s * 0.5 + 0.4, lambda s: 1 - s]
)
def test_scans_of_one_kind_are_left_alone(kind, change):
    shares = change(SCAN)
    assert fit(measure(KINDS[kind](shares)), measure(KINDS[kind](SCAN))) == AS_THEY_ARE


def test_the_void_around_a_masked_scan_says_nothing():
    masked = np.concatenate([np.zeros(100_000, np.uint8), KINDS["uint8"](SCAN)])
    assert measure(masked).percentiles == measure(KINDS["uint8"](SCAN)).percentiles
    assert fit(measure(masked), measure(KINDS["uint8"](SCAN))) == AS_THEY_ARE


def test_it_lies_in_the_checkpoint_as_plain_values():
    values = measure(KINDS["uint16"](SCAN))
    intensity = Intensity(0.0, 255.0, 0.4, 0.2, values)
    written = json.loads(json.dumps(intensity.as_dict()))
    assert Intensity.from_dict(written) == intensity
    assert isinstance(written["values"]["percentiles"][0], float)
    assert GreyValues.from_dict(values.as_dict()) == values
    # A checkpoint of an earlier version.
    del written["values"]
    assert Intensity.from_dict(written).values is None
