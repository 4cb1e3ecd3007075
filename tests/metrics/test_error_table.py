"""Topology errors as a table."""

import pytest

from napari_surfseg.errors import DataError
from napari_surfseg.metrics.error_table import (
    ERROR_NAMES,
    KINDS,
    TopologyError,
    count_errors,
    read_error_table,
    write_error_table,
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    errors = [
        TopologyError("extra_tunnel", "hole", (1, 2, 3), 9, (0, 1, 2), (2, 4, 5)),
        TopologyError("missing_component", "", (7, 0, 0), 1, (7, 0, 0), (8, 1, 1)),
    ]
    path = tmp_path / "errors.csv"
    write_error_table(path, errors)
    assert read_error_table(path) == errors
    header, first = path.read_text().splitlines()[:2]
    assert header.startswith("error,kind,cause,dimension,z,y,x,size,z_start")
    assert first.split(",")[0] == errors[0].name
    write_error_table(path, [])
    assert read_error_table(path) == []
    assert count_errors(errors) == {"missing component": 1, "hole": 1}
    assert {kind for kind, _ in ERROR_NAMES} == set(KINDS)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "error,kind\nx,y\n", "\0\n\0"])
def test_another_table_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "errors.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"no table of topology errors, or a damaged one\.$"):
        read_error_table(path)
    with pytest.raises(DataError, match=r"gone\.csv cannot be read"):
        read_error_table(tmp_path / "gone.csv")
