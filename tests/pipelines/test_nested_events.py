"""Events of nested schemas from made-up bodies to verified records: paths, arrays, ids and times of other types.

`verify` reads the same file with fastavro and walks the paths on its own, so that it is the reference here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.redis import Valkey

UUID = {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}


def record(name: str, **fields: object) -> dict[str, object]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": declared} for n, declared in fields.items()]}


SCHEMA = record(
    "Act",
    id="long",
    who=["null", record("Who", uid=UUID, plan=["null", "string"])],
    at={"type": "long", "logicalType": "timestamp-nanos"},
    seen=["null", {"type": "long", "logicalType": "timestamp-millis"}],
    device=["null", record("Device", os="string", parent=["null", "Device"])],
    attributes={"type": "map", "values": ["null", "string", "long"]},
    tags={"type": "array", "items": "string"},
    items={"type": "array", "items": record("Item", sku="int", price=DECIMAL)},
    total=DECIMAL,
    paid="boolean",
    item="int",
    score=["null", "int", "double"],
)
SPEC = """
name: nested
events: {schema: act.avsc, user: who.uid, id: id, time: at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 365d
features:
  n: {aggregate: count, windows: [1h, 7d]}
  by_tag: {aggregate: [count_by, share_by, entropy_by], by: tags, windows: [1d]}
  by_sku: {aggregate: sum_by, by: items.sku, of: total, windows: [7d]}
  by_os: {aggregate: count_by, by: device.os, windows: [7d]}
  by_country: {aggregate: top_k, by: attributes.country, k: 5, windows: [7d]}
  by_both: {aggregate: decayed_count_by, by: [tags, device.os], half_life: 1d}
  total: {aggregate: [sum, mean, max], of: total, windows: [7d]}
  paid: {aggregate: [mean, sum], of: paid, windows: [7d]}
  score: {aggregate: mean, of: score, windows: [7d]}
  last: {aggregate: last_k, of: item, k: 3, with: [seen, who.plan], windows: [7d]}
  music: {aggregate: count, where: {tags: {contains: music}, device.os: {exists: true}}, windows: [7d]}
  untagged: {aggregate: count, where: {tags: {exists: false}}, windows: [7d]}
  countries: {aggregate: distinct, of: attributes.country, windows: [7d]}
  skus: {aggregate: [distinct, approx_distinct], of: items.sku, windows: [7d]}
sequences:
  recent: {fields: [item, at, device.parent.os, attributes.country], last: 5}
  baskets: {fields: [at, tags, items.sku, items.price], last: 5, where: {items.sku: {exists: true}}}
embeddings:
  taste: {kind: decayed_mean, of: item, dimensions: 16, half_life: 7d}
"""


def user_state(*arguments: str) -> str:
    command = [sys.executable, "-m", "user_state.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_nested_events_are_verified_from_body_to_record(valkey: Valkey, tmp_path: Path) -> None:
    (tmp_path / "act.avsc").write_text(json.dumps(SCHEMA))
    spec, traffic = str(tmp_path / "spec.yaml"), str(tmp_path / "traffic.avro")
    Path(spec).write_text(SPEC)
    user_state(
        *("generate", "--spec", spec, "--users", "30", "--events", "1500", "--out", traffic),
        *("--late", "0.05", "--duplicates", "0.05", "--corrupt", "0.02"),
    )
    ran = user_state(
        *("run", "--spec", spec, "--input", traffic, "--redis", valkey.url, "--dead-letters", str(tmp_path / "dead"))
    )
    assert "read 1,500 = applied 1,395 + duplicate 75" in ran
    assert "dead letters 30 (undecodable 30)" in ran
    verified = user_state("verify", "--spec", spec, "--events", traffic, "--redis", valkey.url)
    assert "applied 1,395, dead_letter/undecodable 30, duplicate 75" in verified
    assert "of 30 users" in verified
    assert "all equal" in verified
