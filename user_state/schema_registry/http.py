"""Requests to a schema registry: what it answers, or that it does not.

    USER_STATE_REGISTRY_USERNAME        user and password for basic authentication, such as an API key and its secret
    USER_STATE_REGISTRY_PASSWORD
    USER_STATE_REGISTRY_PASSWORD_FILE   a file that holds the password, read anew for each request

A request is tried TRIES times. What may be over later (no connection, a time-out, 408, 429, 5xx) or is for somebody to
put right (401, 403, an answer that no registry gives, as of a proxy or of a wrong URL) is RegistryUnavailable: no
message is lost for it. That a schema does not exist is an answer. A redirection is not followed: the password is for
this host alone. Certificates are checked; SSL_CERT_FILE names an authority of your own.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from user_state.errors import InputError, RegistryUnavailable, shorten

USER = "USER_STATE_REGISTRY_USERNAME"
PASSWORD = "USER_STATE_REGISTRY_PASSWORD"  # noqa: S105 - the name of the variable
PASSWORD_FILE = "USER_STATE_REGISTRY_PASSWORD_FILE"  # noqa: S105
ACCEPT = "application/vnd.schemaregistry.v1+json, application/json"
TIMEOUT_S = 5.0
TRIES = 3
FIRST_PAUSE_S = 0.2
MOST_BYTES = 4_000_000
"""Of an answer."""
NOT_FOUND = (40401, 40402, 40403)
"""What a registry calls a subject, a version or a schema that there is not. Any other 404 is somebody else's."""
_LATER = frozenset((408, 425, 429, 500, 502, 503, 504))


class NotThere(Exception):
    """The registry says that there is no such schema; holds what it says."""


class Registry:
    """One registry.

    Args:
        url: without a `/` at its end.
        timeout_s: of one try.
        environment: who we are there.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S, environment: Mapping[str, str] = os.environ) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._environment = environment
        self._opener = urllib.request.build_opener(_NoRedirection)

    def __repr__(self) -> str:
        return f"Registry({self.url!r})"

    def get(self, path: str) -> Any:
        """Return the JSON at a path, which begins with `/`.

        Raises:
            NotThere: the registry has no such schema.
            RegistryUnavailable: it does not say.
        """
        return self._asked(path, None)

    def post(self, path: str, value: Any) -> Any:
        """Return what is answered to a JSON value; as `get`."""
        return self._asked(path, json.dumps(value).encode())

    def check(self) -> None:
        """Find out whether a registry answers.

        Raises:
            RegistryUnavailable: it does not.
        """
        with contextlib.suppress(NotThere):
            self.get("/schemas/types")

    def _asked(self, path: str, body: bytes | None) -> Any:
        pause_s = FIRST_PAUSE_S
        for left in reversed(range(TRIES)):
            try:
                return self._try(path, body)
            except _Later as exc:
                if not left:
                    raise RegistryUnavailable(f"the schema registry {self.url} cannot be reached: {exc}") from exc
            time.sleep(pause_s)
            pause_s *= 4
        raise AssertionError

    def _try(self, path: str, body: bytes | None) -> Any:
        headers = {"Accept": ACCEPT, **self._who()}
        if body is not None:
            headers["Content-Type"] = "application/vnd.schemaregistry.v1+json"
        request = urllib.request.Request(self.url + path, body, headers)  # noqa: S310 - the spec takes http(s) alone
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return self._value(answer.read(MOST_BYTES + 1), path)
        except urllib.error.HTTPError as exc:
            with exc:
                raise self._refused(exc, path) from exc
        except urllib.error.URLError as exc:
            raise _Later(str(exc.reason)) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise _Later(str(exc) or type(exc).__name__) from exc

    def _value(self, answer: bytes, path: str) -> Any:
        if len(answer) > MOST_BYTES:
            raise RegistryUnavailable(
                f"the schema registry {self.url} answers {path} with more than {MOST_BYTES:,} bytes"
            )
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as exc:
            raise RegistryUnavailable(
                f"expected JSON from the schema registry {self.url} at {path}, got {shorten(answer[:60])}: is the URL"
                " of the registry complete?"
            ) from exc

    def _refused(self, exc: urllib.error.HTTPError, path: str) -> Exception:
        """Return what an answer that is none of 2xx is."""
        try:
            said = json.loads(exc.read(MOST_BYTES))
        except (OSError, ValueError, RecursionError, http.client.HTTPException):
            said = None  # such as 401, which some answer in plain text
        said = said if isinstance(said, dict) else {}
        if exc.code == 404 and said.get("error_code") in NOT_FOUND:
            return NotThere(str(said.get("message", "not found")))
        if exc.code in _LATER:
            return _Later(f"it answers {exc.code} {exc.reason}")
        if exc.code in (401, 403):
            who = "the user and password of" if self._environment.get(USER) else "us without a user and password:"
            return RegistryUnavailable(f"the schema registry {self.url} refuses {who} {USER} ({exc.code})")
        if 300 <= exc.code < 400:
            to = urlsplit(exc.headers.get("Location") or "").hostname
            return RegistryUnavailable(
                f"the schema registry {self.url} sends us elsewhere ({exc.code}, {shorten(to)}): name that in the spec"
            )
        return RegistryUnavailable(
            f"the schema registry {self.url} answers {path} with {exc.code} {exc.reason}: is the URL of the registry"
            " complete?"
        )

    def _who(self) -> dict[str, str]:
        """Return the header that says who we are.

        Raises:
            InputError: the environment has a password and a file of one.
            RegistryUnavailable: the file cannot be read.
        """
        user, password = self._environment.get(USER, ""), self._environment.get(PASSWORD)
        file = self._environment.get(PASSWORD_FILE)
        if password and file:
            raise InputError(f"expected {PASSWORD} or {PASSWORD_FILE} in the environment, got both")
        if file:
            try:
                password = Path(file).read_text("utf-8").rstrip("\r\n")
            except (OSError, ValueError) as exc:
                raise RegistryUnavailable(f"cannot read the file of the schema registry's password, {file}") from exc
        if not user and not password:
            return {}
        token = base64.b64encode(f"{user}:{password or ''}".encode()).decode()
        return {"Authorization": f"Basic {token}"}


class _Later(Exception):
    """What may be otherwise the next time."""


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None
