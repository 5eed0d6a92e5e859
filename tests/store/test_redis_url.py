"""URLs of Redis: their parts, and that no message, whatever is wrong with a URL, has a part of its password."""

from urllib.parse import quote, urlsplit

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.test_client import NOW, SPEC, fill
from user_state import UserStateClient
from user_state.errors import InputError
from user_state.store.connection import connect
from user_state.store.redis_url import HOW_TO_ESCAPE, RedisUrl, masked, parse_redis_url

FORMS = [
    *(
        "redis://:{}@cache:6379/0",
        "rediss://app:{}@cache:6380",
        "redis-cluster://:{}@cache",
        "unix://app:{}@/tmp/socket",
    ),
    *("redis://cache:6379?password={}&db=1", "redis://cache/1?db=1&password={}", "unix:///tmp/socket?password={}"),
]
NONE = ["http://:{}@cache:6379", "{}@cache:6379", ":{}@cache:6379", "redis:/:{}@cache", "redis://:{}@cache:port"]
SPECIAL = "/#?@:%[]&=+;,!$ '\"\\~^`{}|<>\n\t\x1b\x80\u2100\u00e9"
PASSWORDS = st.text(st.sampled_from(SPECIAL + "XYZ019"), min_size=4, max_size=16)


def parts(password: str, form: str) -> set[str]:
    """Return what must not be shown: any four characters of the password that the URL has nowhere else."""
    fours = {password[at : at + 4] for at in range(len(password) - 3)}
    return {four for four in fours if four not in form and four not in HOW_TO_ESCAPE}


def told(url: str) -> str:
    """Return all that we say of a URL."""
    said = masked(url)
    try:
        parsed = parse_redis_url(url)
    except InputError as exc:
        return f"{said} {exc}"
    urlsplit(url)  # others may use Python's parser on what ours has taken
    return f"{said} {parsed!r} {parsed.shown}"


@given(PASSWORDS, st.sampled_from(FORMS + NONE))
@example("ab/cdefgh", FORMS[0])
@example("ab?cd@efgh", FORMS[4])
@example("12#cdefgh", FORMS[0])
@example("ab@cdefgh", FORMS[4])
@example("abcd&efgh", FORMS[4])
@example("[abcdefgh", FORMS[0])
def test_no_four_characters_of_a_password_are_shown_escaped_or_not(password, form):
    for url in (form.format(password), form.format(quote(password, safe=""))):
        shown = told(url)
        assert not [four for four in parts(password, form) if four in shown]


@given(PASSWORDS, st.sampled_from(FORMS))
def test_an_escaped_password_is_read_as_it_was(password, form):
    parsed = parse_redis_url(form.format(quote(password, safe="")))
    assert parsed.password == password
    assert parse_redis_url(parsed.without_password).password is None
    assert parse_redis_url(parsed.without_password).host == parsed.host


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("redis://cache", RedisUrl("redis", "cache", None, "", (), "", None, None)),
        ("redis://", RedisUrl("redis", "localhost", None, "", (), "", None, None)),
        ("rediss://app@[::1]:1/2", RedisUrl("rediss", "[::1]", 1, "/2", (), "app", None, None)),
        ("redis://:@cache", RedisUrl("redis", "cache", None, "", (), "", "", None)),
        ("redis://a:b:c@d@cache:65535", RedisUrl("redis", "cache", 65535, "", (), "a", "b:c@d", None)),
        ("unix:///tmp/a@b?db=1", RedisUrl("unix", "/tmp/a@b", None, "", (("db", "1"),), "", None, None)),
        (
            "redis-cluster://app@cache?password_file=/run/secrets/redis",
            RedisUrl("redis-cluster", "cache", None, "", (), "app", None, "/run/secrets/redis"),
        ),
    ],
)
def test_the_parts_of_a_url(url, parsed):
    assert parse_redis_url(url) == parsed


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://cache", "http://cache"),
        ("localhost:6379", "localhost:6379"),
        ("redis://cache:port", "redis://cache:***"),
        ("redis://cache:0", "redis://cache:0"),
        ("redis://cache:65536", "redis://cache:65536"),
        ("redis://cache/zero", "redis://cache/***"),
        ("redis://cache#a", "redis://cache/***"),
        ("redis://cache?passwort=secret", "redis://cache/***"),
        ("redis://cache?ssl_cert_reqs=none", "redis://cache/***"),
        ("redis://:secret", "redis://***:***"),
        ("redis://app:secret", "redis://app:***"),
        ("redis://[::1", "redis://***:***"),
        ("unix://tmp/socket", "unix://tmp/***"),
        ("secret@cache", "***@cache"),
    ],
)
def test_what_is_no_redis_url_is_refused_and_shown_as_far_as_it_cannot_be_a_password(url, shown):
    for act in (parse_redis_url, lambda url: connect(url, 1)):
        with pytest.raises(InputError, match="expected a Redis URL such as redis://localhost:6379") as raised:
            act(url)
        assert f"got {shown!r}; " in str(raised.value)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("decode_responses=True", "the option decode_responses is not used: records are bytes"),
        ("encoding=utf-8", "the option encoding is not used"),
        ("errors=strict", "the option errors is not used"),
        ("retry_on_timeout=1", "the option retry_on_timeout is not used"),
        ("timeout=5", "the option timeout is not used: write socket_timeout"),
        ("ssl=true", "write rediss://"),
        ("ssl_cert_reqs=none", "the option ssl_cert_reqs is for TLS: write rediss://"),
        ("db=first", "the option db is a whole number from 0"),
        ("db=-1", "the option db is a whole number"),
        ("db=1&db=2", "the option db is there twice"),
        ("protocol=4", "the option protocol is one of 2, 3"),
        ("socket_timeout=0", "the option socket_timeout is seconds, above 0"),
        ("socket_timeout=nan", "the option socket_timeout is seconds"),
        ("socket_timeout=inf", "the option socket_timeout is seconds"),
        ("socket_connect_timeout=-1", "the option socket_connect_timeout is seconds"),
        ("socket_keepalive=maybe", "the option socket_keepalive is one of"),
        ("max_connections=0", "the option max_connections is a whole number from 1"),
        ("health_check_interval=x", "the option health_check_interval is a whole number"),
        ("client_name=a%20b", "the option client_name is a name of visible ASCII"),
    ],
)
def test_an_option_is_used_or_refused_by_name(option, message):
    """Options that were found to be wrong only at the first command (redis/redis-py#510, #3217)."""
    for act in (parse_redis_url, lambda url: connect(url, 1)):
        with pytest.raises(InputError, match=message):
            act(f"redis://cache?{option}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://cache/0?db=1", "the path and the option db name different databases"),
        ("redis-cluster://cache/1", "a cluster has database 0 alone"),
        ("redis-cluster://cache?db=1", "a cluster has database 0 alone"),
        ("redis://cache/feed", "a path is the number of a database"),
        ("redis://cache/1234567", "a path is the number of a database"),
    ],
)
def test_a_database_is_one_number_or_refused(url, message):
    with pytest.raises(InputError, match=message):
        parse_redis_url(url)
    parse_redis_url("redis://cache/1?db=1")
    parse_redis_url("redis-cluster://cache/0")


def test_an_option_that_may_be_a_part_of_a_password_is_not_quoted():
    with pytest.raises(InputError, match="options are client_name, db") as raised:
        parse_redis_url("redis://cache?password=abc&hushhush")
    assert "hushhush" not in str(raised.value)


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_of_redis_give_the_same_records(valkey, protocol):
    with UserStateClient.from_url(valkey.url, SPEC) as client:
        fill(f"{valkey.url}?protocol={protocol}")
        expected = client.get_many(["u1", "nobody"], NOW)
    with UserStateClient.from_url(f"{valkey.url}?protocol={protocol}&socket_timeout=5", SPEC) as client:
        found = client.get_many(["u1", "nobody"], NOW)
    assert found.present.tolist() == expected.present.tolist() == [True, False]
    np.testing.assert_array_equal(found.values, expected.values)


def test_databases_of_one_server_are_apart(valkey):
    fill(f"{valkey.url}/1")
    present = []
    for url in (f"{valkey.url}/1", f"{valkey.url}?db=1", valkey.url):
        with UserStateClient.from_url(url, SPEC) as client:
            present.append(bool(client.get("u1", NOW).present))
    assert present == [True, True, False]
