import time

import pytest

from napari_surfseg.gui.window.screen import live


def test_it_ends_when_the_condition_holds(qapp):
    begun = time.monotonic()
    assert live(60, until=lambda: time.monotonic() - begun > 0.1)
    assert time.monotonic() - begun < 30


def test_it_ends_with_the_time(qapp):
    assert live(0.05)
    assert not live(0.05, until=lambda: False)


def test_an_error_of_the_condition_reaches_the_caller(qapp):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        live(60, until=fail)
