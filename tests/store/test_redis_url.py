"""URLs of Redis: their parts, and that no message, whatever is wrong with a URL, has a part of its password."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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


def test_an_option_that_redis_py_cannot_read_is_refused():
    with pytest.raises(InputError, match=r"redis://cache\?db=first.*'db'"):
        connect("redis://cache?db=first", 1)
