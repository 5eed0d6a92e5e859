"""What hinders a process is told for as long as it is noted, the latest first."""

import time

import pytest

from transforms import troubles
from transforms.troubles import hindered, trouble


@pytest.fixture(autouse=True)
def _nothing_hinders(monkeypatch):
    monkeypatch.setattr(troubles, "_UNTIL_S", {})


def test_nothing_hinders_until_something_does_and_then_the_latest_is_told():
    assert trouble() is None
    hindered("Redis is away")
    hindered("the topic is gone")
    assert trouble() == "the topic is gone"
    hindered("Redis is away")
    assert trouble() == "Redis is away"


def test_what_is_not_noted_again_is_over():
    hindered("the disk is full")
    hindered("Redis is away", lasts_s=0.05)
    time.sleep(0.1)
    assert trouble() == "the disk is full"


def test_what_is_over_is_forgotten_however_much_there_was():
    for number in range(100):
        hindered(f"problem {number}", lasts_s=0.0)
    time.sleep(0.01)
    hindered("the last")
    assert list(troubles._UNTIL_S) == ["the last"]
