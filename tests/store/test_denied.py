"""Rights that are taken away in mid-run, and given back: whoever folds is denied, waits, and loses nothing."""

import time
from contextlib import closing

import pytest
from redis.exceptions import ResponseError

from tests.servers.redis import running_valkey
from tests.trying import event, plan_of, row
from user_state.errors import StoreDenied, StoreError, StoreUnavailable
from user_state.fold import Folder
from user_state.state.outcome import Outcome
from user_state.store.connection import translate_response
from user_state.store.redis_store import RedisStateStore
from user_state.store.run_board import RunBoard

TAKEN = {
    "the password is changed": ("resetpass", ">other"),
    "the user is off": ("off",),
    "no right to read": ("-get", "-mget"),
    "no right to run scripts": ("-evalsha",),
    "no right that a script needs": ("-set",),
    "no right to the keys": ("resetkeys",),
    "no right at all": ("-@all",),
}
GIVEN = ("reset", "on", ">pass", "~*", "+@all")


@pytest.fixture(scope="module", params=[False, True], ids=["one server", "cluster"])
def server(request, tmp_path_factory):
    with running_valkey(tmp_path_factory.mktemp("denied"), cluster=request.param) as running:
        yield running


def told(server, *words: str) -> None:
    """Set the rights of the user `app`, and end its connections."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", *words)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def url_of(server) -> str:
    return server.url.replace("127.0.0.1", "app:pass@127.0.0.1")


@pytest.mark.parametrize("what", TAKEN)
def test_a_fold_waits_until_it_is_let_in_again_and_each_event_counts_once(server, what):
    plan, told_of = plan_of(), []
    user = f"user of {what}"
    rows = [row(plan, event(time.time_ns() // 1000, user))]
    told(server, *GIVEN)
    with closing(RedisStateStore(url_of(server), "tried", timeout_s=5)) as store:
        folder = Folder(plan, store, cache_bytes=0)
        folder.start()

        def let_in_again(problem: StoreUnavailable) -> None:
            told_of.append(problem)
            assert len(told_of) < 20
            if len(told_of) == 3:
                told(server, *GIVEN)

        told(server, *TAKEN[what])
        report = folder.fold(rows, let_in_again)
        again = folder.fold(rows)
    assert [type(problem) for problem in told_of[:3]] == [StoreDenied] * 3
    assert "ACL" in str(told_of[0])
    assert "pass@" not in str(told_of[0])
    assert user not in str(told_of[0])
    assert (report.outcome.tolist(), report.writes) == ([Outcome.APPLIED], 1)
    assert (again.outcome.tolist(), again.writes) == ([Outcome.DUPLICATE], 0)


def test_the_board_of_a_run_is_denied_too(server):
    told(server, *GIVEN)
    with closing(RunBoard(url_of(server), "tried", "run")) as board:
        board.ask_to_stop()
        told(server, "-@all")
        for act in (board.is_asked_to_stop, board.say_watched, board.counters, board.trouble, board.ask_to_pause):
            with pytest.raises(StoreDenied):
                act()
        told(server, *GIVEN)
        assert board.is_asked_to_stop()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("NOAUTH Authentication required.", StoreDenied),
        ("WRONGPASS invalid username-password pair or user is disabled.", StoreDenied),
        ("NOPERM this user has no permissions to run the 'get' command", StoreDenied),
        ("DENIED Redis is running in protected mode", StoreDenied),
        ("ERR AUTH <password> called without any password configured for the default user", StoreDenied),
        (
            "ERR The user executing the script can't run this command or subcommand script: 1, on @user_script:7.",
            StoreDenied,
        ),
        ("ACL failure in script: User app has no permissions to run the 'set' command", StoreDenied),
        ("BUSY Redis is busy running a script.", StoreUnavailable),
        ("Command # 1 (SET key) of pipeline caused error: MISCONF Redis is configured to save", StoreUnavailable),
        ("BUSYGROUP Consumer Group name already exists", StoreError),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreError),
    ],
)
def test_what_a_server_answers_is_denied_passing_or_for_good(answer, kind):
    told_of = translate_response("Redis at redis://cache", ResponseError(answer))
    assert type(told_of) is kind
    assert "Command #" not in str(told_of)
