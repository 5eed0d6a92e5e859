"""`user-state evaluate` and `user-state items fit`, as anybody would type them."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.logs import random_log
from user_state.cli.main import main
from user_state.embeddings.table_file import read_table
from user_state.evaluation.log_files import YEAR_2000_US

ROOT = Path(__file__).parents[2]
SPEC = """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
embeddings:
  taste: {kind: decayed_mean, of: item_id, dimensions: 64, half_life: [1h, 7d], weights: {view: 1.0, like: 3.0}}
"""


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    log = random_log(1, events=200)
    lines = [
        f"{log.users[u]} {log.items[i]} {(t - YEAR_2000_US) // 1_000_000}\n"
        for u, i, t in zip(log.user.tolist(), log.item.tolist(), log.time_us.tolist(), strict=True)
    ]
    path = tmp_path / "log.txt"
    path.write_text("".join(lines))
    return path


def typed(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Return the exit code of `user-state WORDS`."""
    monkeypatch.setattr(sys, "argv", ["user-state", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_table_of_the_protocols_scorers(
    log_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "evaluate", "--protocol", "tgb", "--input", log_file, "--ages", "0-10s,1m") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == f"{log_file}: 200 interactions of 7 users with 12 items"
    rows = {line.split()[0]: line.split() for line in lines if line and len(line.split()) == 6}
    assert {
        "chance",
        "popularity",
        "edgebank",
        "transitions",
        "recent",
        "recent:keep=8",
        "sketch",
        "mixture",
    } <= rows.keys()
    assert float(rows["recent"][3]) > float(rows["chance"][3])
    assert "test MRR by age of the state" in told.out
    assert told.err == ""


def test_json_and_a_drawing(
    log_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'user-state[evaluate]'")
    words = ["--protocol", "prequential", "--input", log_file, "--scorer", "knn", "--scorer", "recent:keep=2", "--json"]
    drawing = tmp_path / "x.svg"
    assert typed(monkeypatch, "evaluate", *words, "--first", "150", "--plot", drawing) == 0
    told = json.loads(capsys.readouterr().out)
    assert [scorer["scorer"] for scorer in told["scorers"]] == ["knn", "recent:keep=2"]
    assert (told["interactions"], told["candidates"]) == (150, "items the user has not met")
    assert ET.parse(drawing).getroot().tag.endswith("svg")


@pytest.mark.slow
def test_the_same_from_a_process_with_nothing_imported_that_is_not_needed(log_file: Path) -> None:
    """A ranking service that evaluates needs no Beam, and one that does not evaluate loads no evaluator."""
    code = (
        "import sys, user_state; from user_state.cli.main import main\n"
        "assert not any(name.startswith(('user_state.evaluation', 'usearch', 'pyarrow')) for name in sys.modules)\n"
        "sys.argv = ['user-state', 'evaluate', '--protocol', 'tgb', '--input', sys.argv[1]]\n"
        "try:\n    main()\nfinally:\n"
        "    print('user_state.evaluation.replay' in sys.modules, 'apache_beam' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(log_file)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("True False\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--protocol", "loo"], "expected a protocol of tgb, prequential, got 'loo'"),
        (["--protocol", "tgb", "--scorer", "nobody"], "expected a scorer of chance"),
        (["--protocol", "tgb", "--scorer", "spec:taste"], "expected --spec for spec:taste, got none"),
        (["--protocol", "tgb", "--ages", "60"], "expected an age such as 60s"),
        (["--protocol", "tgb", "--first", "1"], "the log is too short"),
        (["--protocol", "tgb", "--scorer", "table:dimensions=999"], "as many dimensions as items"),
        (["--protocol", "tgb", "--scorer", "sketch:dimensions=0"], "dimensions"),
        (["--protocol", "tgb", "--scorer", "chance", "--plot", "/no/such/folder/x.svg"], "cannot write"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    words: list[str],
    message: str,
    log_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed(monkeypatch, "evaluate", "--input", log_file, *words) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert message in told.err
    assert "Traceback" not in told.err + told.out


def test_a_table_is_fitted_and_can_be_read_back(
    log_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "items.npz"
    assert typed(monkeypatch, "items", "fit", "--input", log_file, "--output", out, "--dimensions", "4") == 0
    table = read_table(out)
    assert table.vectors.shape == (12, 4)
    assert capsys.readouterr().out == (
        f"{out}: version {table.version}, 12 items of 4 dimensions from 200 interactions;"
        " 0 items without a pair, or outside the leading dimensions, left out\n"
    )


def test_items_without_a_pair_are_left_out_and_a_log_without_any_pair_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some, none = tmp_path / "some.txt", tmp_path / "none.txt"
    some.write_text("a tea 0\na jam 1\nb rye 2\n")
    none.write_text("a tea 0\nb jam 1\n")
    out = tmp_path / "items.npz"
    assert typed(monkeypatch, "items", "fit", "--input", some, "--output", out, "--dimensions", "1") == 0
    assert list(read_table(out).ids) == ["jam", "tea"]
    assert "1 items without a pair, or outside the leading dimensions, left out" in capsys.readouterr().out
    assert typed(monkeypatch, "items", "fit", "--input", none, "--output", out, "--dimensions", "1") == 2
    assert "no item has a pair" in capsys.readouterr().err


def test_the_embedding_of_a_spec_on_its_own_events_with_duplicates_and_corrupt_ones_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = tmp_path / "traffic.avro"
    faults = ["--late", "0.05", "--duplicates", "0.05", "--corrupt", "0.01", "--seed", "3"]
    assert typed(monkeypatch, "generate", "--users", "50", "--events", "600", "--out", traffic, *faults) == 0
    spec = tmp_path / "user_state.yaml"
    spec.write_text(SPEC)
    words = ["--protocol", "tgb", "--spec", spec, "--input", traffic, "--scorer", "spec:taste", "--scorer", "chance"]
    capsys.readouterr()
    assert typed(monkeypatch, "evaluate", *words, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left_out"] == {"duplicate": 30, "undecodable": 6}
    taste, chance = (scorer["parts"]["test"]["mrr"] for scorer in told["scorers"])
    assert taste > chance
