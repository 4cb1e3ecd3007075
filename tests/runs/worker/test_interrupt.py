import os
import signal
import threading
import time

import pytest

from napari_surfseg.runs.worker.interrupt import InterruptWatch

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent with os.kill")


@pytest.fixture(autouse=True)
def hang_up_is_not_ignored():
    """Behind ``nohup`` it is, and a watch leaves that so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def wait_for(condition):
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_first_signal_asks_second_ends():
    calls = []
    watch = InterruptWatch(
        on_first=lambda: calls.append("first"), on_second=lambda: calls.append("second")
    )
    before = signal.getsignal(signal.SIGINT)
    with watch:
        assert not watch.requested.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        assert wait_for(lambda: calls == ["first"])
        assert watch.requested.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert wait_for(lambda: calls == ["first", "second"])
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "signals",
    [
        (signal.SIGHUP, signal.SIGHUP, signal.SIGHUP),  # from the shell and from the system
        (signal.SIGTERM, signal.SIGTERM),  # from a batch system and its helper
        (signal.SIGTERM, signal.SIGHUP),
        (signal.SIGINT, signal.SIGHUP),
        (signal.SIGINT, signal.SIGINT),  # from the terminal and from a program in between
    ],
    ids=lambda signals: "-".join(number.name for number in signals),
)
def test_what_no_person_repeats_ends_nothing_at_once(signals):
    calls = []
    watch = InterruptWatch(
        on_first=lambda: calls.append("first"), on_second=lambda: calls.append("second")
    )
    with watch:
        for number in signals:
            os.kill(os.getpid(), number)
        assert wait_for(lambda: bool(calls))
        time.sleep(0.2)
    assert calls == ["first"]


def test_a_second_ctrl_c_ends_at_once():
    calls = []
    watch = InterruptWatch(
        on_first=lambda: calls.append("first"), on_second=lambda: calls.append("second")
    )
    with watch:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        assert wait_for(lambda: calls == ["first", "second"])


def test_it_is_heard_while_the_main_thread_is_in_native_code():
    heard = []
    watch = InterruptWatch(on_first=lambda: heard.append(time.monotonic()), on_second=lambda: None)
    with watch:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        busy = threading.Lock()
        busy.acquire()
        began = time.monotonic()
        # A Python handler would run when this returns; acquiring a lock is interruptible,
        # so what counts is that the watch heard it before the time was up.
        busy.acquire(timeout=0.5)
        ended = time.monotonic()
    assert heard
    assert heard[0] - began < ended - began


def test_other_signals_are_left_alone():
    seen = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: seen.append("usr1"))
    try:
        with InterruptWatch(on_first=lambda: seen.append("first"), on_second=lambda: None) as watch:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert wait_for(lambda: bool(seen))
            time.sleep(0.05)
            assert not watch.requested.is_set()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == ["usr1"]


def test_outside_the_main_thread_it_does_nothing():
    outcome = []

    def work():
        with InterruptWatch(on_first=lambda: None, on_second=lambda: None) as watch:
            outcome.append(watch.requested.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [False]


def test_an_ignored_signal_stays_ignored():
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with InterruptWatch(on_first=lambda: None, on_second=lambda: None):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, previous)
