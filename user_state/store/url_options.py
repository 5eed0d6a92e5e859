"""The options of a Redis URL: which are used, what their values may be, and why others are refused by name.

An option is used as the user means it, or refused. redis-py takes any name from a URL, lets the last of two win, and
fails at the first command, or decodes what are bytes. An option that nobody knows is not quoted: a password whose `?`
or `&` is not escaped looks like one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote

MOST_S = 86_400
_WORDS = ("true", "yes", "1", "on", "false", "no", "0", "off")


def _whole(least: int, most: int) -> Callable[[str], str | None]:
    def check(text: str) -> str | None:
        right = re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is not None and least <= int(text) <= most
        return None if right else f"a whole number from {least} to {most:,}"

    return check


def _seconds(text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    return None if 0 < number <= MOST_S else f"seconds, above 0 and at most {MOST_S:,}"


def _one_of(*accepted: str) -> Callable[[str], str | None]:
    return lambda text: None if text.lower() in accepted else f"one of {', '.join(accepted)}"


def _name(text: str) -> str | None:
    return None if re.fullmatch(r"[!-~]+", text) else "a name of visible ASCII characters, without spaces"


def _anything(text: str) -> str | None:
    return None


OPTIONS: Mapping[str, Callable[[str], str | None]] = {
    "client_name": _name,
    "db": _whole(0, 999_999),
    "health_check_interval": _whole(0, MOST_S),
    "max_connections": _whole(1, 1_000_000),
    "protocol": _one_of("2", "3"),
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _one_of(*_WORDS),
    "socket_timeout": _seconds,
}
"""By name: what says what a value should be, None if it is right. Values are decoded."""
TLS_OPTIONS: Mapping[str, Callable[[str], str | None]] = {
    "ssl_ca_certs": _anything,
    "ssl_ca_path": _anything,
    "ssl_cert_reqs": _one_of("required", "optional", "none"),
    "ssl_certfile": _anything,
    "ssl_check_hostname": _one_of(*_WORDS),
    "ssl_ciphers": _anything,
    "ssl_keyfile": _anything,
    "ssl_min_version": _whole(0, 100_000),
}
OF_CREDENTIALS = ("username", "password", "password_file")
_BYTES = "records are bytes, which this would have decoded"
_OURS = "every call has its own limit and is tried again by what calls it"
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("decode_responses", "encoding", "encoding_errors", "errors", "charset"), _BYTES),
    "legacy_responses": "answers are read here",
    **dict.fromkeys(("retry_on_timeout", "retry_on_error", "retry"), _OURS),
    "timeout": "write socket_timeout, in seconds",
    "ssl": "write rediss:// for TLS",
    **dict.fromkeys(("host", "port"), "write them before the path: redis://host:port"),
    **dict.fromkeys(("ssl_password", "ssl_ca_data"), "name files without a password: ssl_keyfile, ssl_ca_certs"),
}
"""Options of redis-py, and of other clients, that are not used: why, or what to write."""


def why_not(name: str, value: str, *, tls: bool) -> str | None:
    """Return why an option cannot be used, naming it, or None if it can, or if nothing of it may be said.

    Args:
        name: as it stands in the URL.
        value: likewise, percent-encoded.
        tls: whether the URL's scheme has TLS.
    """
    if name in REFUSED:
        return f"the option {name} is not used: {REFUSED[name]}"
    if name in TLS_OPTIONS and not tls:
        return f"the option {name} is for TLS: write rediss://"
    check = OPTIONS.get(name) or TLS_OPTIONS.get(name)
    expected = None if check is None else check(unquote(value))
    return None if expected is None else f"the option {name} is {expected}"
