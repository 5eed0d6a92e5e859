"""What hinders a process is told for as long as it is noted, the latest first."""

import time

import pytest

from transforms import health
from transforms.health import goes_on, hindered, trouble


@pytest.fixture(autouse=True)
def _nothing_hinders(monkeypatch):
    monkeypatch.setattr(health, "_HEALTH", {})


def test_nothing_hinders_until_something_does_and_then_the_latest_is_told():
    assert trouble() is None
    hindered("store", "Redis is away")
    hindered("dead letters", "the topic is gone")
    assert trouble() == "the topic is gone"
    hindered("store", "Redis is full")
    assert trouble() == "Redis is full"


def test_what_is_not_noted_again_is_over():
    hindered("dead letters", "the disk is full")
    hindered("store", "Redis is away", lasts_s=0.05)
    time.sleep(0.1)
    assert trouble() == "the disk is full"


def test_what_goes_on_hinders_no_more():
    hindered("dead letters", "the disk is full")
    hindered("store", "Redis is away")
    goes_on("store")
    goes_on("store")
    assert trouble() == "the disk is full"
