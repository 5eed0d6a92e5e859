"""Which tests `make test-fast` leaves out, by the marks that tests/conftest.py sets."""

import pytest


def test_one_whose_fixture_starts_a_server_is_marked(request: pytest.FixtureRequest, valkey: object) -> None:
    assert request.node.get_closest_marker("server") is not None


@pytest.mark.parametrize("asked_for", ["valkey"])
def test_one_that_asks_for_such_a_fixture_by_its_name_is_marked(request: pytest.FixtureRequest, asked_for: str) -> None:
    assert request.getfixturevalue(asked_for).url
    assert request.node.get_closest_marker("server") is not None


def test_one_that_needs_nothing_is_not(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("server") is None
    assert request.node.get_closest_marker("beam") is None
