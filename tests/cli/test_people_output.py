"""What people are shown: whole numbers, text as it is, times where the schema says so, in the columns there are."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from rich.table import Table

from tests.trying import T0, event, spec_of
from user_state import oracle
from user_state.cli.get import measured_tables, show, time_columns
from user_state.cli.nearest import readable
from user_state.cli.terminal import Terminal, say_json
from user_state.oracle.events import AppliedEvent
from user_state.results import UserState, UserStateBatch
from user_state.state.padding import Padded


def shown(state, times=(), width=80, measures=None):
    file = io.StringIO()
    console = Terminal(file=file)
    console.width = width
    show(console, state, times, measures)
    return file.getvalue()


def state_of(features=None, sequences=None, user="u"):
    return UserState(user, True, T0, T0, features or {}, {}, sequences or {}, {}, {}, {})


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_in_any_width_every_number_is_whole_and_lines_fit(monkeypatch, columns):
    """Source: mattyopon/faultray#73, ccusage/ccusage#946: columns too narrow cut numbers in the middle."""
    monkeypatch.setenv("COLUMNS", columns)
    windows = ["10m", "1h", "6h", "12h", "1d", "7d", "14d", "30d", "90d", "lifetime"]
    features = {f"mean_price_{window}": 1_234_567.875 + number for number, window in enumerate(windows)}
    lines = shown(state_of(features), width=int(columns)).splitlines()
    text = "\n".join(lines)
    assert "…" not in text
    for value in features.values():
        assert f"{float(str(np.float32(value))):,}" in text
    for window in windows:
        assert window in text
    assert max(map(len, lines[2:])) <= int(columns)


def test_what_is_no_terminal_has_any_width(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    features = {f"a_rather_long_name_of_a_feature_{window}": 1e6 + 1 for window in ("1h", "1d", "7d", "30d", "90d")}
    assert shown(state_of(features)).count("a_rather_long_name_of_a_feature") == 1


def test_a_cell_wider_than_the_terminal_is_left_whole(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    file = io.StringIO()
    console = Terminal(file=file)
    console.width = 20
    table = Table("name", "version", box=None)
    table.add_row("a", "0123456789" * 5)
    console.print_table(table)
    assert "0123456789" * 5 in file.getvalue()


@pytest.mark.parametrize("text", ["[red]x[/red]", ":smile:", "[/]", "[link=x]", "a\x1b[2J"])
def test_text_is_data_and_shown_as_it_is(text):
    found = shown(state_of(sequences={"recent": {"name": [text]}}, user=text))
    escaped = text.replace("\x1b", "\\x1b")
    assert found.count(escaped) == 2


def test_times_are_shown_by_the_type_of_their_field_and_not_by_its_name():
    times = {("recent", "created"): 1, ("recent", "shown"): 1000}
    state = state_of(sequences={"recent": {"created": [T0], "shown": [T0 // 1000], "watch_time": [T0]}, "last": [T0]})
    found = shown(state, times)
    assert "recent.created: 2022-01-08T00:00:00Z" in found
    assert "recent.shown: 2022-01-08T00:00:00Z" in found
    assert f"recent.watch_time: {T0}" in found
    assert f"last: {T0}" in found


def test_lists_in_a_sequence_are_shown_as_lists_of_what_they_hold():
    sequences = {"recent": {"tags": [["a", "b"], None, ["c\x1b"]], "sizes": [[1_000_000], [], None], "seen": [[0]]}}
    text = shown(state_of(sequences=sequences), {("recent", "seen"): 1000})
    assert "recent.tags: [a, b], null, [c\\x1b]" in text
    assert "recent.sizes: [1000000], [], null" in text
    assert "recent.seen: [1970-01-01T00:00:00Z]" in text


def test_the_schema_says_which_columns_are_times():
    spec = spec_of(
        features={
            "seen": {"aggregate": "last_k", "of": "published_at", "with": "item_id", "k": 3, "windows": "1d"},
            "often": {"aggregate": "top_k", "by": "seen_at", "k": 3, "windows": "1d"},
        },
        sequences={"recent": {"fields": ["event_time", "item_id"], "last": 3}},
    )
    assert time_columns(spec) == {
        ("recent", "event_time"): 1,
        ("seen_last_k_1d", ""): 1,
        ("seen_last_k_1d", "published_at"): 1,
        ("often_top_k_1d", ""): 1000,
        ("often_top_k_1d", "seen_at"): 1000,
    }


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_has_not_are_null_wherever_they_stand(capsys, value):
    """Source: esnet/iperf#370, Netflix/vmaf#215: `nan` and `Infinity` in JSON, which strict parsers refuse."""
    say_json({"a": value, "b": [value, 1.5], "c": {"d": (value, "Infinity")}})

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert found == {"a": None, "b": [None, 1.5], "c": {"d": [None, "Infinity"]}}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.25], ["+0.5000", "+0.2500"]),
        ([0.000012, -0.00000034], ["+0.0000120000", "-0.0000003400"]),
        ([0.0], ["+0.0000"]),
        ([], []),
        ([123456.5, 0.5], ["+123456.5000", "     +0.5000"]),
        ([1e-20, 3e-20], ["+1.000e-20", "+3.000e-20"]),
    ],
)
def test_scores_of_any_size_can_be_told_apart(scores, expected):
    assert readable(scores) == expected


def test_reprs_are_one_short_line_without_arrays():
    users = tuple(f"user-{number}" for number in range(500))
    batch = UserStateBatch(
        users=users,
        names=("a", "b"),
        values=np.zeros((500, 2), np.float32),
        present=np.arange(500) > 2,
        as_of_us=T0,
        last_event_us=np.full(500, T0),
        arrays={},
        sequences={"recent": Padded(np.zeros(500, np.int64), {})},
        embeddings={"taste": np.zeros((500, 64), np.float32)},
        item_versions={},
        missing_items={},
        errors={"user-0": "damaged"},
    )
    assert repr(batch) == (
        "UserStateBatch(500 users, 3 of them without a record, 1 of these unreadable, 2 features, 1 sequences,"
        " 1 embeddings, as of 2022-01-08T00:00:00Z)"
    )
    assert repr(state_of({"a": 1.0}, user="x" * 500)).startswith("UserState('xxx")
    assert len(repr(state_of({"a": 1.0}, user="x" * 500))) < 200
    assert repr(spec_of()) == f"LoadedSpec('tried', 1 features, of {spec_of().schema.name})"


def test_tables_of_keys_are_shown_as_pairs_of_key_and_number():
    spec = spec_of(
        features={
            "by_action": {
                "aggregate": ["count_by", "mean_by", "share_by"],
                "by": "action",
                "of": "value",
                "windows": "1d",
            },
            "by_both": {"aggregate": "decayed_count_by", "by": ["action", "event_time"], "half_life": "1d"},
            "often": {"aggregate": "top_k", "by": "action", "k": 2, "windows": "1d"},
        },
        sequences={"recent": {"fields": ["action", "value"], "last": 3}},
    )
    acted = [AppliedEvent(T0, 1, T0, event(T0, action="view", value=1.5))]
    acted += [AppliedEvent(T0 + at, at, T0, event(T0 + at, action="buy", value=8.0)) for at in (2, 3)]
    made = oracle.features(spec.spec, acted, T0 + 10).sequences
    text = shown(state_of(sequences=made), time_columns(spec), measures=measured_tables(spec))
    assert "  by_action_count_by_1d: buy: 2, view: 1\n" in text
    assert "  by_action_mean_by_1d: buy: 8, view: 1.5\n" in text
    assert "  by_action_share_by_1d: buy: 0.666667, view: 0.333333\n" in text
    assert "/2022-01-08T00:00:00Z: " in text
    assert "  often_top_k_1d: buy, view\n" in text
    assert "  recent.action: buy, buy, view\n" in text  # a sequence has columns, whatever its fields are called
    nothing = {name: {column: [] for column in columns} for name, columns in made.items() if isinstance(columns, dict)}
    assert "  by_action_count_by_1d: -\n" in shown(state_of(sequences=nothing), {}, measures=measured_tables(spec))
    many = {"by_action_count_by_1d": {"action": [str(at) for at in range(20)], "count": [1.0] * 20}}
    assert "6: 1, 7: 1, ... (20)\n" in shown(state_of(sequences=many), {}, measures=measured_tables(spec))
