"""Every error the package raises: each by a real call, all in the one documented tree."""

import importlib
import inspect
import re
import socket
import sys
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.servers.ports import free_port
from tests.servers.redis import running_valkey
from tests.trying import event, plan_of, spec_of
from user_state import errors
from user_state.client import UserStateClient
from user_state.errors import (
    CodecError,
    EventError,
    InputError,
    NotCompiled,
    RegistryUnavailable,
    SpecError,
    SpecSuperseded,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    UserStateError,
    shorten,
)
from user_state.events.avro_blocks import BlockReader
from user_state.events.avro_files import read_arrivals
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.layout import Layout
from user_state.schema_registry.http import Registry
from user_state.spec import load_spec, parse_spec
from user_state.state.event_batch import EventBatch
from user_state.state.remembered_ids import ids_beside
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.store import Replacement

CLASSES = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}
TREE = {
    "UserStateError": "Exception",
    "SpecError": "UserStateError",
    "EventError": "UserStateError",
    "CodecError": "UserStateError",
    "NotCompiled": "UserStateError",
    "InputError": "UserStateError",
    "StoreError": "UserStateError",
    "StoreUnavailable": "StoreError",
    "StoreDenied": "StoreUnavailable",
    "RegistryUnavailable": "StoreUnavailable",
    "SpecSuperseded": "StoreError",
}
HERE = Path(__file__).parent


def decoder():
    return EventDecoder(plan_of(), spec_of().schema)


def locked_out():
    import tempfile

    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder), password="secret") as server:
        UserStateClient.from_url(f"redis://127.0.0.1:{server.port}", spec_of()).get("u")


def unclaimed():
    import tempfile

    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as server:
        RedisStateStore(server.url, "tried").replace([Replacement("u", b"", b"record")])


def superseded():
    import tempfile

    with tempfile.TemporaryDirectory() as folder, running_valkey(Path(folder)) as server:
        for epoch, plan in ((1, plan_of()), (2, plan_of(allowed_lateness="2h")), (3, plan_of())):
            with closing(RedisStateStore(server.url, "tried")) as store:
                store.claim(Writer(plan.layout, plan.definition, epoch))


def without_the_compiled_core() -> None:
    """Import what needs it, where it cannot be."""
    held = {name: sys.modules.pop(name) for name in ("user_state.native", "user_state._native") if name in sys.modules}
    try:
        with patch.dict(sys.modules, {"user_state._native": None}):
            importlib.import_module("user_state.native")
    finally:
        sys.modules.update(held)


CALLS = [
    (SpecError, lambda: load_spec("no/such/file.yaml")),
    (SpecError, lambda: parse_spec("name: [", beside=HERE)),
    (SpecError, lambda: spec_of(retention="soon")),
    (EventError, lambda: decoder().decode(b"\0")),
    (EventError, lambda: decoder().encode({})),
    (EventError, lambda: decoder().row(event(0), None)),
    (CodecError, lambda: EventBatch.join(compile_plan(spec_of()), [b""])),
    (CodecError, lambda: ids_beside(b"", b"version1")),
    (CodecError, lambda: Layout.from_json("")),
    (NotCompiled, without_the_compiled_core),
    (InputError, lambda: UserStateClient.from_url("http://cache", spec_of())),
    (InputError, lambda: UserStateClient.from_url("redis://cache", spec_of()).get_many("u")),
    (InputError, lambda: BlockReader("no/such/file.avro", spec_of().schema)),
    (InputError, lambda: list(read_arrivals("no/such/file.avro", spec_of().spec))),
    (StoreError, unclaimed),
    (StoreDenied, locked_out),
    (SpecSuperseded, superseded),
    (RegistryUnavailable, lambda: Registry(f"http://127.0.0.1:{free_port()}").check()),
    (StoreUnavailable, lambda: UserStateClient.from_url(f"redis://127.0.0.1:{free_port()}", spec_of()).get("u")),
]


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_is_raised_as_exactly_this_class(kind, call):
    with pytest.raises(UserStateError) as raised:
        call()
    assert type(raised.value) is kind
    assert str(raised.value)


def test_every_class_but_the_base_is_raised_by_a_call_above():
    assert {kind.__name__ for kind, _ in CALLS} == CLASSES.keys() - {"UserStateError"}


def test_the_tree_is_this_one():
    assert {name: value.__mro__[1].__name__ for name, value in CLASSES.items()} == TREE


def test_the_tree_is_drawn_at_the_top_of_the_file_with_its_branches():
    drawn = re.findall(r"^ {4}(?:([ |]*)\+-- )?(\w+) {2,}\S", errors.__doc__ or "", re.MULTILINE)
    assert {name for _, name in drawn} == TREE.keys()
    depth = {name: len(indent) for indent, name in drawn}
    assert depth["StoreDenied"] > depth["StoreUnavailable"] > depth["StoreError"] == depth["SpecError"]


def test_every_class_says_what_it_is():
    assert all(inspect.getdoc(value) for value in CLASSES.values())


def test_an_event_error_carries_reason_and_detail():
    with pytest.raises(EventError, match="undecodable: cannot decode 1 bytes as Avro") as raised:
        decoder().decode(b"\0")
    assert raised.value.reason == "undecodable"
    assert str(raised.value) == f"undecodable: {raised.value.detail}"


def test_what_third_parties_raised_is_the_cause():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StoreUnavailable) as raised:
        UserStateClient.from_url(f"redis://127.0.0.1:{silent.getsockname()[1]}", spec_of(), timeout_s=0.1).get("u")
    assert type(raised.value.__cause__).__module__.startswith("redis")


@pytest.mark.parametrize(
    ("value", "limit", "short"),
    [
        ("ab", 4, "'ab'"),
        ("abc", 4, "'..."),
        ("a" * 100, 12, "'aaaaaaaa..."),
        (b"\0", 80, "b'\\x00'"),
        (None, 80, "None"),
    ],
)
def test_values_in_messages_are_cut_to_a_length(value, limit, short):
    assert shorten(value, limit) == short
