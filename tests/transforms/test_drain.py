"""The stop request: seen everywhere in the process, ends a sleep, and can be forgotten."""

import signal
import threading
import time

import pytest

from transforms import drain


@pytest.fixture(autouse=True)
def _forget():
    drain.reset()
    yield
    drain.reset()


def test_nothing_drains_until_it_is_requested():
    assert not drain.draining()
    drain.request_drain()
    drain.request_drain()
    assert drain.draining()
    drain.reset()
    assert not drain.draining()


def test_a_wait_without_a_request_takes_its_time():
    started_s = time.monotonic()
    assert not drain.wait(0.2)
    assert time.monotonic() - started_s >= 0.2


def test_a_wait_ends_when_another_thread_requests():
    threading.Timer(0.1, drain.request_drain).start()
    assert drain.wait(300)


def test_a_signal_handler_may_request_while_the_main_thread_waits():
    before = signal.signal(signal.SIGALRM, lambda *_: drain.request_drain())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert drain.wait(30)
    finally:
        signal.signal(signal.SIGALRM, before)
