"""The packed sections of a record, one for each family of state, in the order of `avro/user_state.avsc`.

A section packs and unpacks its family's pieces of n records at once. Unpacking raises CodecError for any bytes that
packing does not write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from user_state.codec.decays import pack_decays, unpack_decays
from user_state.codec.gaps import empty_gaps, pack_gaps, unpack_gaps
from user_state.codec.hlls import empty_hlls, pack_hlls, unpack_hlls
from user_state.codec.keyed_decays import keyed_decay_strings, pack_keyed_decays, unpack_keyed_decays
from user_state.codec.keyed_tiles import keyed_tile_strings, pack_keyed_tiles, unpack_keyed_tiles
from user_state.codec.klls import empty_klls, pack_klls, unpack_klls
from user_state.codec.last_seen import empty_last_seen, pack_last_seen, unpack_last_seen
from user_state.codec.logs import empty_logs, log_strings, pack_logs, unpack_logs
from user_state.codec.profiles import pack_profiles, unpack_profiles
from user_state.codec.sessions import empty_sessions, pack_sessions, unpack_sessions
from user_state.codec.strings import Dictionaries
from user_state.codec.tiles import empty_tiles, pack_tiles, unpack_tiles
from user_state.codec.vectors import pack_vectors, unpack_vectors
from user_state.core.events import I64
from user_state.core.layout import Layout

Columns = list[tuple[I64, I64]]


def _no_strings(_state: Any, _layout: Layout) -> Columns:
    return []


@dataclass(frozen=True)
class Section:
    """How one family's state becomes bytes and comes back.

    Attributes:
        name: the field of `Records`, and of the schema.
        blank: layout -> the section of a record that holds nothing.
        unpack: (n sections, layout, dictionaries) -> state.
        pack: (state, layout, the numbers of its columns of strings, n) -> n sections.
        strings: (state, layout) -> its columns of strings as (user, code), in the order in which `pack` wants their
            numbers.
    """

    name: str
    blank: Callable[[Layout], bytes]
    unpack: Callable[[Sequence[bytes], Layout, Dictionaries], Any]
    pack: Callable[[Any, Layout, Sequence[I64], int], list[bytes]]
    strings: Callable[[Any, Layout], Columns] = _no_strings


SECTIONS = (
    Section("tiles", empty_tiles, unpack_tiles, pack_tiles),
    Section("logs", empty_logs, unpack_logs, pack_logs, log_strings),
    Section("decays", lambda layout: bytes(len(layout.decays)), unpack_decays, pack_decays),
    Section("vectors", lambda layout: bytes(len(layout.vectors)), unpack_vectors, pack_vectors),
    Section("last_seen", empty_last_seen, unpack_last_seen, pack_last_seen),
    Section("profiles", lambda layout: bytes(len(layout.profiles)), unpack_profiles, pack_profiles),
    Section("sessions", empty_sessions, unpack_sessions, pack_sessions),
    Section("hlls", empty_hlls, unpack_hlls, pack_hlls),
    Section("klls", empty_klls, unpack_klls, pack_klls),
    Section("keyed_tiles", lambda _: b"", unpack_keyed_tiles, pack_keyed_tiles, keyed_tile_strings),
    Section("keyed_decays", lambda _: b"", unpack_keyed_decays, pack_keyed_decays, keyed_decay_strings),
    Section("gaps", empty_gaps, unpack_gaps, pack_gaps),
)
