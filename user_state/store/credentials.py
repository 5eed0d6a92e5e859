"""Who we are at Redis: user and password from the URL, a file or the environment, asked for at each connection.

    URL                              user and password in it; of ?password_file=/path the content
    USER_STATE_REDIS_USERNAME        where the URL names no user
    USER_STATE_REDIS_PASSWORD_FILE   where the URL has neither password nor file: a file that holds it, as Docker and
                                     Kubernetes mount secrets; without the line break at its end
    USER_STATE_REDIS_PASSWORD        or the password itself

A file is read again for each connection, so that a password can be changed while a pipeline runs. A URL with an empty
password, `redis://:@host`, sends none whatever the environment says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from user_state.errors import InputError
from user_state.store.redis_url import RedisUrl, parse_redis_url

USER = "USER_STATE_REDIS_USERNAME"
PASSWORD = "USER_STATE_REDIS_PASSWORD"  # noqa: S105 - the name of the variable
PASSWORD_FILE = "USER_STATE_REDIS_PASSWORD_FILE"  # noqa: S105


class _Credentials(CredentialProvider):
    """Gives redis-py user and password when it opens a connection."""

    def __init__(self, user: str, password: str, file: str | None) -> None:
        self._user = user
        self._password = password
        self._file = file

    def __repr__(self) -> str:
        return f"_Credentials({self._user!r}, file={self._file!r})"

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return (user, password), or the password alone.

        Raises:
            AuthenticationError: the file has none. It is redis-py's, which closes the connection then.
        """
        password = self._password if self._file is None else _read(self._file)
        return (self._user, password) if self._user else (password,)


def credentials(url: RedisUrl, environment: Mapping[str, str] = os.environ) -> CredentialProvider | None:
    """Return what a connection to `url` presents, None for nothing.

    Raises:
        InputError: the environment, or the URL, has a password and a file of one.
    """
    user, password, file = url.user or environment.get(USER, ""), url.password, url.password_file
    if password and file:
        raise InputError(f"expected a password or a password_file in {url.shown}, got both")
    if password is None and file is None:
        password, file = environment.get(PASSWORD), environment.get(PASSWORD_FILE)
        if password and file:
            raise InputError(f"expected {PASSWORD} or {PASSWORD_FILE} in the environment, got both")
    elif not password and not file and not url.user:
        return None  # the URL says so
    if not (user or password or file):
        return None
    return _Credentials(user, password or "", file or None)


def check_travels(url: str, runner: str) -> None:
    """Refuse a URL with a password where it becomes part of a job that others keep and show.

    Args:
        url: a Redis URL.
        runner: what runs the job, for the message.

    Raises:
        InputError: it has one, or is no Redis URL.
    """
    parsed = parse_redis_url(url)
    if parsed.password:
        raise InputError(
            f"expected a --redis without a password to run on {runner}, where it would be part of the job that"
            f" {runner} keeps and shows, got {parsed.shown}: set {PASSWORD_FILE} or {PASSWORD} where this command runs"
            f" and where the workers do, or write {parsed.without_password}{_joiner(parsed)}password_file=/path"
        )


def passed_on(url: str) -> tuple[str, dict[str, str]]:
    """Return (URL without a password, environment that has it instead) for a process of our own.

    Raises:
        InputError: it is no Redis URL.
    """
    parsed = parse_redis_url(url)
    if not parsed.password:
        return url, {}
    return parsed.without_password, {PASSWORD: parsed.password, PASSWORD_FILE: ""}


def _joiner(url: RedisUrl) -> str:
    return "&" if "?" in url.without_password else "?"


def _read(file: str) -> str:
    try:
        password = Path(file).read_text("utf-8").rstrip("\r\n")
    except OSError as exc:
        raise AuthenticationError(f"cannot read the password's file {file}: {exc.strerror}") from None
    except ValueError:
        raise AuthenticationError(f"expected a password as UTF-8 text in {file}") from None
    if not password:
        raise AuthenticationError(f"expected a password in {file}, got none")
    return password
