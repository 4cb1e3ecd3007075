"""Doubtful places as a table."""

import pytest

from napari_surfseg.errors import DataError
from napari_surfseg.proofreading.places import (
    PLACE_KINDS,
    DoubtfulPlace,
    count_places,
    read_places,
    write_places,
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    reason = 'Closes below 0.41, "a hole", of 9 voxels.'
    places = [
        DoubtfulPlace("loose end", (1, 2, 3), (0, 1, 2), (2, 4, 5), 9, 0.75, reason),
        DoubtfulPlace("hole", (7, 0, 0), (7, 0, 0), (8, 1, 1), 1, 0.125, "Small."),
    ]
    path = tmp_path / "places.csv"
    write_places(path, places)
    assert read_places(path) == places
    assert path.read_text().startswith("kind,weight,z,y,x,size,z_start")
    assert places[0].extent == (2, 3, 3)
    assert places[0].name == "loose end"
    assert list(count_places(places)) == ["hole", "loose end"]
    assert len(PLACE_KINDS) == 7
    write_places(path, [])
    assert read_places(path) == []


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "kind,weight\nhole,y\n", "kind\nx\n", "\0\n\0"])
def test_another_table_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "places.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"no table of doubtful places, or a damaged one\.$"):
        read_places(path)
    with pytest.raises(DataError, match=r"gone\.csv cannot be read"):
        read_places(tmp_path / "gone.csv")
