"""Long work asks whether it should end."""

import pytest

from napari_surfseg.cancelling import is_stop_wanted, listening, raise_if_stopped
from napari_surfseg.errors import CancelledError


def test_work_ends_only_where_somebody_listens_and_was_asked():
    raise_if_stopped()
    with listening(lambda: False):
        raise_if_stopped(0.5)
        with listening(lambda: True), pytest.raises(CancelledError, match="stopped as asked"):
            raise_if_stopped()
    assert not is_stop_wanted()
