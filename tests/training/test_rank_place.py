"""Which of the processes that train together this one is."""

import pytest

from napari_surfseg.errors import ConfigError
from napari_surfseg.training.rank_place import RankPlace, find_place, share_batch

GIVEN = {"RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "node", "MASTER_PORT": "29500"}


def test_the_place_is_what_torchrun_says():
    assert find_place({**GIVEN, "LOCAL_RANK": "0"}) == RankPlace(2, 4, 0)
    assert not find_place(GIVEN).leads


@pytest.mark.parametrize("missing", GIVEN)
def test_a_process_without_a_whole_place_trains_alone(missing):
    """Batch systems set some of these names for purposes of their own."""
    assert find_place({name: value for name, value in GIVEN.items() if name != missing}) is None
    assert find_place({**GIVEN, "RANK": "0", "WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize("wrong", [{"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "many"}])
def test_a_place_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"RANK=.* and WORLD_SIZE="):
        find_place({**GIVEN, **wrong})


def test_a_batch_is_shared_evenly_or_refused():
    assert share_batch(8, 4) == 2
    with pytest.raises(ConfigError, match=r"is 6, but 4 processes .* multiple of 4") as refused:
        share_batch(6, 4)
    assert refused.value.field == "training.train_batch_size"
