"""The registry of specs against a real Valkey: who may write, by tables of what is there and who asks."""

from __future__ import annotations

import pytest

from tests.trying import plan_of
from user_state.errors import CodecError, SpecSuperseded, StoreError, StoreUnavailable
from user_state.store.keys import registry_key
from user_state.store.registry import Registry, Writer
from user_state.store.specs import force_epoch, propose_epoch

LAYOUTS = [plan_of(features={"f": {"aggregate": "count", "windows": [window]}}).layout for window in ("1h", "1d")]
A, B = bytes.fromhex("aaaaaaaaaaaaaaaa"), bytes.fromhex("bbbbbbbbbbbbbbbb")
LAYOUT_OF = dict(zip((A, B), LAYOUTS, strict=True))
KEY = registry_key("tried")


def writer(definition: bytes, epoch: int) -> Writer:
    return Writer(LAYOUT_OF[definition], definition, epoch)


@pytest.fixture
def client(valkey):
    with valkey.client() as opened:
        yield opened


@pytest.fixture
def registry(client, valkey):
    return Registry(client, valkey.url, "tried")


def held(client):
    """Return (current, epoch, epoch of each spec) as they stand, layouts left out."""
    fields = {field.decode(): text.decode() for field, text in client.hgetall(KEY).items()}
    specs = {
        bytes.fromhex(field.removeprefix("spec:")): int(text) for field, text in fields.items() if "spec:" in field
    }
    current = fields.get("current")
    return (None if current is None else bytes.fromhex(current), int(fields.get("epoch", 0)), specs)


def put(client, current, epoch, specs):
    client.delete(KEY)
    if current is not None:
        client.hset(KEY, "current", current.hex())
    if epoch:
        client.hset(KEY, "epoch", epoch)
    for definition, number in specs.items():
        client.hset(KEY, f"spec:{definition.hex()}", number)


REFUSED = "refused"
NEVER = (None, 0, {})
A5 = (A, 5, {A: 5})
B7_AFTER_A = (B, 7, {A: 5, B: 7})
CASES = [
    # what is there, mode, who asks with which epoch; the epoch it gets, and what is there then
    (NEVER, "propose", A, 9, 9, NEVER),
    (NEVER, "claim", A, 9, 9, (A, 9, {A: 9})),
    (NEVER, "assert", A, 9, 9, (A, 9, {A: 9})),
    (NEVER, "force", A, 9, 9, (A, 9, {A: 9})),
    # The spec that writes already goes on as it is, whenever it started.
    (A5, "propose", A, 9, 5, A5),
    (A5, "claim", A, 9, 5, A5),
    (A5, "claim", A, 3, 5, A5),
    (A5, "assert", A, 5, 5, A5),
    (A5, "assert", A, 3, 5, A5),
    # One that claimed a later epoch before the registry was set back takes it up again.
    (A5, "assert", A, 9, 9, (A, 9, {A: 9})),
    # A new spec is the next one; should its clock be behind, it is proposed an epoch that wins.
    (A5, "propose", B, 7, 7, A5),
    (A5, "propose", B, 5, 6, A5),
    (A5, "propose", B, 3, 6, A5),
    (A5, "claim", B, 7, 7, B7_AFTER_A),
    (A5, "claim", B, 5, REFUSED, A5),
    (A5, "claim", B, 3, REFUSED, A5),
    # An older spec is refused, with whatever epoch.
    (B7_AFTER_A, "propose", A, 9, REFUSED, B7_AFTER_A),
    (B7_AFTER_A, "claim", A, 9, REFUSED, B7_AFTER_A),
    (B7_AFTER_A, "assert", A, 5, REFUSED, B7_AFTER_A),
    # By force it is the newest.
    (B7_AFTER_A, "force", A, 9, 9, (A, 9, {A: 9, B: 7})),
    (B7_AFTER_A, "force", A, 5, 8, (A, 8, {A: 8, B: 7})),
    (A5, "force", A, 3, 6, (A, 6, {A: 6})),
    # A registry that an older spec has made again, after it was lost, goes to the newer one.
    (A5, "assert", B, 7, 7, B7_AFTER_A),
    (A5, "assert", B, 4, REFUSED, A5),
    # Half of it lost: whose epoch is greater.
    ((None, 7, {}), "assert", A, 5, REFUSED, (None, 7, {})),
    ((None, 7, {}), "assert", B, 8, 8, (B, 8, {B: 8})),
    ((B, 0, {}), "assert", A, 5, 5, (A, 5, {A: 5})),
    ((B, 0, {}), "assert", B, 7, 7, (B, 7, {B: 7})),
]


@pytest.mark.parametrize(("there", "mode", "definition", "epoch", "gets", "then"), CASES)
def test_who_may_write(registry, client, there, mode, definition, epoch, gets, then):
    put(client, *there)
    asking = writer(definition, epoch)
    if mode == "assert":
        registry._writer = asking  # claimed before what is there came to be

        def ask():
            registry.restore()
            return registry.claimed
    elif mode == "claim":

        def ask():
            registry.claim(asking)
            return registry.claimed
    else:

        def ask():
            return getattr(registry, mode)(asking)

    if gets == REFUSED:
        with pytest.raises(SpecSuperseded, match=r"another spec named tried writes .*user-state rollback"):
            ask()
    else:
        assert ask() == writer(definition, gets)
    assert held(client) == then
    assert registry.epoch() == then[1]
    changed = there != then
    layouts = registry.layouts()
    assert layouts == ({LAYOUT_OF[definition].fingerprint: LAYOUT_OF[definition]} if changed else layouts)
    assert not changed or layouts


def test_epochs_are_compared_as_numbers_to_the_microsecond(registry, client):
    now_us = 1_790_000_000_123_456
    registry.claim(writer(A, now_us))
    assert registry.propose(writer(B, now_us)).epoch == now_us + 1
    assert registry.propose(writer(B, 999)).epoch == now_us + 1
    registry.claim(writer(B, now_us + 1))
    assert held(client)[:2] == (B, now_us + 1)


def test_nothing_is_claimed_before_it_is(registry):
    with pytest.raises(StoreError, match="expected a claim of tried"):
        _ = registry.claimed


def test_a_refused_claim_leaves_who_had_claimed_before(registry):
    registry.claim(writer(A, 5))
    registry.force(writer(B, 9))
    with pytest.raises(SpecSuperseded):
        registry.claim(writer(A, 10))
    assert registry.claimed == writer(A, 5)


def test_layouts_are_lost_and_restored_with_the_registry(registry, client, valkey):
    other = Registry(client, valkey.url, "tried")
    other.claim(writer(A, 5))
    registry.claim(writer(B, 7))
    for layout in LAYOUTS:
        assert registry.layout(layout.fingerprint) == layout
    client.delete(KEY)
    assert registry.layout(LAYOUTS[0].fingerprint) is None
    registry.restore()
    assert registry.layouts() == {layout.fingerprint: layout for layout in LAYOUTS}


def test_a_layout_under_anothers_name_and_one_that_is_none_are_codec_errors(registry, client):
    registry.claim(writer(A, 5))
    client.hset(KEY, f"layout:{bytes(8).hex()}", LAYOUTS[0].to_json())
    with pytest.raises(CodecError, match="expected layout 0000000000000000 under its name"):
        registry.layouts()
    client.hset(KEY, f"layout:{bytes(8).hex()}", "[")
    with pytest.raises(CodecError):
        registry.layouts()


@pytest.mark.parametrize("kind", ["valkey", "cluster"])
def test_a_spec_is_asked_about_before_it_runs_and_forced_back_on_purpose(request, kind):
    url = request.getfixturevalue(kind).url
    old, new = plan_of(), plan_of(allowed_lateness="2h")
    assert propose_epoch(url, old, 5) == 5
    assert force_epoch(url, old, 5) == 5
    assert propose_epoch(url, new, 7) == 7
    assert force_epoch(url, new, 7) == 7
    with pytest.raises(SpecSuperseded):
        propose_epoch(url, old, 9)
    assert propose_epoch(url, new, 9) == 9  # the time; a claim would go on with 7
    assert force_epoch(url, old, 9) == 9
    with pytest.raises(SpecSuperseded):
        propose_epoch(url, new, 10)


def test_a_server_that_is_not_there_is_unavailable():
    for ask in (propose_epoch, force_epoch):
        with pytest.raises(StoreUnavailable):
            ask("redis://127.0.0.1:1", plan_of(), 5)
