"""Redis URLs: their parts, and how they are shown without their password.

    redis://[user[:password]@]host[:port][/db][?option=value&...]     one server
    rediss://...                                                      the same with TLS
    redis-cluster://..., rediss-cluster://...                         any node of a cluster
    unix://[user[:password]@]/path[?option=value&...]                 a local socket

User and password are percent-encoded. `?password_file=/path` names a file that holds the password: such a URL can be
passed on and shown. Python's own parser is no use for URLs that are wrong: where a password has an unescaped `/`, `#`
or `?` it takes a part of it for the host or port, and says so. So URLs are taken apart by hand, and an error quotes
only what cannot be a part of a password.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from user_state.errors import InputError
from user_state.store.url_options import OF_CREDENTIALS, OPTIONS, TLS_OPTIONS, why_not

SCHEMES = ("redis", "rediss", "redis-cluster", "rediss-cluster", "unix")
_SHORTEST = "redis://localhost:6379"
HOW_TO_ESCAPE = (
    "special characters of a password are written %2F for /, %23 for #, %3F for ?, %40 for @ and so on, or the password"
    " is given in USER_STATE_REDIS_PASSWORD, or in a file that ?password_file=/path names"
)
_HOST = re.compile(r"[A-Za-z0-9._~%-]+")
_REST = re.compile(r"[/?#]")


@dataclass(frozen=True)
class RedisUrl:
    """A Redis URL, taken apart.

    Attributes:
        scheme: one of SCHEMES.
        host: host, or the path of a socket; as it stands in the URL, percent-encoded.
        port: None where the URL has none.
        database: as it stands in the path, empty where there is none.
        options: (name, value as it stands in the URL), but those of credentials.
        user: decoded, empty where there is none.
        password: decoded; None where there is none, empty where the URL says that there is none.
        password_file: decoded.
    """

    scheme: str
    host: str
    port: int | None
    database: str
    options: tuple[tuple[str, str], ...]
    user: str
    password: str | None = field(repr=False)
    password_file: str | None

    @property
    def is_cluster(self) -> bool:
        """Whether it names a cluster."""
        return self.scheme.endswith("-cluster")

    @property
    def without_credentials(self) -> str:
        """The URL without user, password and the password's file."""
        return self._text("", self.options)

    @property
    def without_password(self) -> str:
        """The URL without its password: what may be passed on."""
        return self._text(self._user_at(""), self._named_options())

    @property
    def shown(self) -> str:
        """The URL for people: with *** for the password."""
        return self._text(self._user_at(":***" if self.password else ""), self._named_options())

    def _user_at(self, password: str) -> str:
        user = quote(self.user, safe="")
        return f"{user}{password}@" if user or password else ""

    def _named_options(self) -> tuple[tuple[str, str], ...]:
        if self.password_file is None:
            return self.options
        return (*self.options, ("password_file", quote(self.password_file)))

    def _text(self, credentials: str, options: tuple[tuple[str, str], ...]) -> str:
        port = "" if self.port is None else f":{self.port}"
        query = "&".join(f"{name}={value}" for name, value in options)
        return f"{self.scheme}://{credentials}{self.host}{port}{self.database}{'?' if query else ''}{query}"


def parse_redis_url(url: str) -> RedisUrl:
    """Return the parts of a URL.

    Raises:
        InputError: it is none; the message has no part of a password.

    >>> parse_redis_url("rediss://app:p%40ss@cache:6380/1").password
    'p@ss'
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise _refused(url, HOW_TO_ESCAPE)
    authority, path, query = _split(rest)
    credentials, _, host = authority.rpartition("@")
    is_socket = scheme == "unix"
    stray = query if is_socket and not authority else path + query
    # What Python's parser, which others may use on the same URL, would stumble over in a password.
    if "#" in rest or "@" in stray or not (rest.isascii() and rest.isprintable()) or set("[]") & set(credentials):
        raise _refused(url, HOW_TO_ESCAPE)
    if is_socket:
        if host or not path:
            raise _refused(url, "a socket is written unix:///path")
        host, port, path = path, None, ""
    else:
        host, port = _host_and_port(url, host)
        if not re.fullmatch(r"(/\d{0,6})?", path, re.ASCII):
            raise _refused(url, f"a path is the number of a database, such as /0; {HOW_TO_ESCAPE}")
    user, colon, password = credentials.partition(":")
    options = _options(url, scheme, query)
    _check_database(url, scheme, path if scheme != "unix" else "", options)
    named = {name: unquote(value) for name, value in options if name in OF_CREDENTIALS}
    return RedisUrl(
        scheme,
        host,
        port,
        path,
        tuple((name, value) for name, value in options if name not in OF_CREDENTIALS),
        unquote(user) or named.get("username", ""),
        unquote(password) if colon else named.get("password"),
        named.get("password_file"),
    )


def masked(url: str) -> str:
    """Return the URL for people: without its password, and where it is none, without what may be a part of one.

    >>> masked("redis://app:secret@cache:6379/0"), masked("redis://cache:6379?password=secret&db=1")
    ('redis://app:***@cache:6379/0', 'redis://:***@cache:6379?db=1')
    >>> masked("redis://:pass/word@cache:6379"), masked("redis://cache:secret")
    ('redis://***@cache:6379', 'redis://cache:***')
    """
    try:
        return parse_redis_url(url).shown
    except InputError:
        return _masked_roughly(url)


def _masked_roughly(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    elif not re.fullmatch(r"[a-z][a-z0-9+.-]{0,20}", scheme):
        scheme = "***"
    before, at, host = rest.rpartition("@")
    if "?" in before:  # what follows may be a host, or the end of ?password=
        return f"{scheme}{separator}***"
    name, colon, port = _split(host)[0].partition(":")
    if not _HOST.fullmatch(name):
        name = "***" if name or colon else ""
    if colon and not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        port = "***"
    ending = "" if len(host) == len(_split(host)[0]) else "/***"
    return f"{scheme}{separator}{'***@' if at or before else ''}{name}{colon}{port}{ending}"


def _split(rest: str) -> tuple[str, str, str]:
    """Return authority, path and query of what follows `://`."""
    found = _REST.search(rest)
    end = len(rest) if found is None else found.start()
    path, _, query = rest[end:].partition("?")
    return rest[:end], path, query


def _host_and_port(url: str, text: str) -> tuple[str, int | None]:
    bracket = text.rfind("]") + 1
    host, _, port = text[bracket:].partition(":")
    host = text[:bracket] + host
    if (host and not _is_host(host)) or not re.fullmatch(r"(\d{1,5})?", port, re.ASCII) or text == ":":
        raise _refused(url, f"a server is written host:port; {HOW_TO_ESCAPE}")
    if port and not 0 < int(port) < 65_536:
        raise _refused(url, "a port is 1 to 65535")
    return host or "localhost", int(port) if port else None


def _is_host(text: str) -> bool:
    if not text.startswith("["):
        return _HOST.fullmatch(text) is not None
    try:
        return text.endswith("]") and ipaddress.ip_address(text[1:-1]).version == 6
    except ValueError:
        return False


def _options(url: str, scheme: str, query: str) -> list[tuple[str, str]]:
    tls = scheme.startswith("rediss")
    known = (*OPTIONS, *OF_CREDENTIALS, *(TLS_OPTIONS if tls else ()))
    options: dict[str, str] = {}
    for option in query.split("&") if query else ():
        name, equals, value = option.partition("=")
        reason = why_not(name, value, tls=tls)
        if reason is not None:
            raise _refused(url, reason)
        if name not in known or not equals or not value:
            raise _refused(url, f"options are {', '.join(known)}; {HOW_TO_ESCAPE}")
        if name in options:
            raise _refused(url, f"the option {name} is there twice")
        options[name] = value
    return list(options.items())


def _check_database(url: str, scheme: str, path: str, options: list[tuple[str, str]]) -> None:
    numbers = [int(text) for text in (path[1:], dict(options).get("db", "")) if text]
    if len(numbers) > 1 and numbers[0] != numbers[1]:
        raise _refused(url, "the path and the option db name different databases")
    if any(numbers) and scheme.endswith("-cluster"):
        raise _refused(url, "a cluster has database 0 alone")


def _refused(url: str, why: str) -> InputError:
    return InputError(f"expected a Redis URL such as {_SHORTEST}, got {_masked_roughly(url)!r}; {why}")
