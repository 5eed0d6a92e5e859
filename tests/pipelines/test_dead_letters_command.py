"""`user-state dead-letters`: says what was refused, changes nothing by looking, and publishes it again as it was."""

import json
import uuid

import fastavro
import pytest

from tests.servers.pipeline import run_command
from transforms.dead_letter_sinks import open_sink
from transforms.packet import DeadLetter
from user_state.events.avro_files import message_schema
from user_state.events.message import Message

SECRET = "somebody-secret"
LETTERS = [
    DeadLetter(Message(f'{{"user": "{SECRET}"}}'.encode(), {"k": "v\x1b[2J"}, 1_700_000_000_000_000, None, "o"), *why)
    for why in (
        ("undecodable", "cannot decode 9 bytes"),
        ("undecodable", "cannot decode 8 bytes"),
        ("too_late", "late"),
    )
]


@pytest.fixture
def folder(tmp_path):
    sink = open_sink(str(tmp_path / "dead"))
    assert all(sink(LETTERS).stored)
    return tmp_path / "dead"


def test_reasons_numbers_and_samples_are_shown_and_no_payload(folder):
    shown = run_command("dead-letters", folder)
    assert shown.returncode == 0, shown.stderr
    assert "3 dead letters, refused at 2" in shown.stdout
    assert "undecodable 2\n  cannot decode 9 bytes\n" in shown.stdout
    assert "too_late 1\n  late\n" in shown.stdout
    assert "published 2023-11-14T22:13:20Z" in shown.stdout
    assert "(JSON)" in shown.stdout
    assert SECRET not in shown.stdout


def test_a_payload_that_is_asked_for_is_shown_escaped(folder):
    shown = run_command("dead-letters", folder, "--payload", "--reason", "too_late")
    assert SECRET in shown.stdout
    assert r"k=v\x1b[2J" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "1 dead letters" in shown.stdout


def test_json_is_json_with_every_number(folder):
    shown = run_command("dead-letters", folder, "--json")
    found = json.loads(shown.stdout)
    assert found["dead_letters"] == 3
    assert {reason: held["number"] for reason, held in found["reasons"].items()} == {"undecodable": 2, "too_late": 1}
    assert sum(step.get("too_late", 0) for step in found["over_time"]["steps"]) == 1
    assert SECRET not in shown.stdout


def test_a_replay_to_a_file_is_what_run_reads_and_never_overwrites(folder, tmp_path):
    target = tmp_path / "again.avro"
    replayed = run_command("dead-letters", folder, "--reason", "undecodable", "--replay", target)
    assert replayed.returncode == 0, replayed.stderr
    assert "replayed 2 messages" in replayed.stdout
    with target.open("rb") as file:
        held = list(fastavro.reader(file))
    assert [(one["data"], one["attributes"], one["reason"]) for one in held] == [
        (letter.message.data, letter.message.attributes, None) for letter in LETTERS[:2]
    ]
    again = run_command("dead-letters", folder, "--replay", target)
    assert again.returncode == 2
    assert "which is there already" in again.stderr


@pytest.mark.parametrize("damage", [b"", b"no Avro", None])
def test_what_holds_no_dead_letters_is_a_users_mistake(tmp_path, damage):
    path = tmp_path / "x.avro"
    if damage is not None:
        path.write_bytes(damage)
    ended = run_command("dead-letters", path)
    assert ended.returncode == 2
    assert "x.avro" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_empty_folder_has_none_and_messages_without_a_reason_are_none(tmp_path):
    (tmp_path / "dead").mkdir()
    assert "no dead letters" in run_command("dead-letters", tmp_path / "dead").stdout
    with (tmp_path / "dead" / "m.avro").open("wb") as file:
        fastavro.writer(file, message_schema(), [{"data": b"x"}])
    assert "no dead letters" in run_command("dead-letters", tmp_path / "dead").stdout


@pytest.mark.pubsub
def test_letters_of_a_subscription_stay_there_when_looked_at_and_go_when_they_are_replayed(pubsub):
    number = uuid.uuid4().hex[:8]
    dead, live = (pubsub.create_topic(f"{name}-{number}") for name in ("dead", "live"))
    of_dead = pubsub.create_subscription(f"dead-{number}", dead)
    of_live = pubsub.create_subscription(f"live-{number}", live)
    assert all(open_sink(f"pubsub://{dead}")(LETTERS).stored)
    pubsub.publish(dead, [b"no letter"])
    for where in (f"pubsub://{of_dead}", f"pubsub://{dead}"):  # and again: looking takes nothing
        shown = run_command("dead-letters", where)
        assert shown.returncode == 0, shown.stderr
        assert "3 dead letters" in shown.stdout
        assert "undecodable 2" in shown.stdout
        assert "1 messages of" in shown.stderr
    target = f"pubsub://{live}"
    replayed = run_command("dead-letters", f"pubsub://{dead}", "--reason", "undecodable", "--replay", target)
    assert replayed.returncode == 0, replayed.stderr
    came = pubsub.pull_all(of_live)
    assert [(one.message.data, dict(one.message.attributes)) for one in came] == [
        (letter.message.data, letter.message.attributes) for letter in LETTERS[:2]
    ]
    left = pubsub.pull_all(of_dead)
    assert sorted(one.message.attributes.get("dead_letter_reason", "") for one in left) == ["", "too_late"]


@pytest.mark.pubsub
def test_a_topic_without_a_subscription_keeps_nothing_and_one_with_several_asks_which(pubsub):
    number = uuid.uuid4().hex[:8]
    topic = pubsub.create_topic(f"none-{number}")
    ended = run_command("dead-letters", f"pubsub://{topic}")
    assert ended.returncode == 2
    assert "has no subscription, so it keeps no message" in ended.stderr
    for name in ("a", "b"):
        pubsub.create_subscription(f"{name}-{number}", topic)
    ended = run_command("dead-letters", f"pubsub://{topic}")
    assert ended.returncode == 2
    assert "has 2 subscriptions; name one of them" in ended.stderr
