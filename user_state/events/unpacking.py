"""Compressed bodies, unpacked up to a limit: a small message may not become gigabytes."""

from __future__ import annotations

import zlib

from user_state.errors import EventError

MOST_UNPACKED_BYTES = 10_000_000
"""As much as a message may have that is not compressed."""
_WINDOW = {"gzip": 31, "deflate": -15}
"""What zlib calls these formats; Avro's deflate has no header."""


class Limited:
    """Unpacks bytes of a format, `gzip` or `deflate`."""

    def __init__(self, form: str, most_bytes: int = MOST_UNPACKED_BYTES) -> None:
        self._form = form
        self._most_bytes = most_bytes

    def unpacked(self, data: bytes) -> bytes:
        """Return what `data` holds; of gzip, of all its members.

        Raises:
            EventError: `undecodable`: it is damaged, or becomes too large.
        """
        made = bytearray()
        while data:
            stream = zlib.decompressobj(_WINDOW[self._form])
            try:
                made += stream.decompress(data, self._most_bytes + 1 - len(made))
            except zlib.error as exc:
                raise EventError("undecodable", f"expected a body of {self._form}, got other or damaged bytes") from exc
            if len(made) > self._most_bytes:
                raise EventError("undecodable", f"expected at most {self._most_bytes:,} bytes once unpacked, got more")
            if not stream.eof:
                raise EventError("undecodable", f"a body of {self._form} that is cut short")
            # Of Avro's deflate some writers leave bytes of a checksum behind the block.
            data = stream.unused_data if self._form == "gzip" else b""
        return bytes(made)
