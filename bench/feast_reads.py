"""Feast's side of `bench/serving.py --feast PYTHON`: runs in an environment that has feast[redis], and not ours.

    python bench/feast_reads.py HOST:PORT FLOATS      users on the first line of its input, as JSON

Writes so many floats of each user to the online store at that Redis. Then it takes lists of users, as JSON a line,
reads their features as a service would, and answers each with the microseconds that it took.
"""

import json
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SETTINGS = """
project: serving
registry: {folder}/registry.db
provider: local
online_store: {{type: redis, connection_string: "{server}"}}
entity_key_serialization_version: 3
"""


def main() -> None:
    """Write, then answer."""
    import pandas
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource
    from feast.types import Float32, String
    from feast.value_type import ValueType

    answers, sys.stdout = sys.stdout, sys.stderr  # feast prints
    server, floats = sys.argv[1], int(sys.argv[2])
    users = json.loads(sys.stdin.readline())
    names = [f"f{number}" for number in range(floats)]
    now = datetime.now(UTC)
    rows = {"user_id": users, "event_timestamp": [now] * len(users)}
    rows |= {name: [float(number)] * len(users) for number, name in enumerate(names)}
    frame = pandas.DataFrame(rows)
    with tempfile.TemporaryDirectory(prefix="feast-") as folder:
        (Path(folder) / "feature_store.yaml").write_text(SETTINGS.format(folder=folder, server=server))
        frame.to_parquet(f"{folder}/source.parquet")
        store = FeatureStore(repo_path=folder)
        user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
        view = FeatureView(
            name="state",
            entities=[user],
            ttl=timedelta(days=1),
            schema=[Field(name="user_id", dtype=String), *(Field(name=name, dtype=Float32) for name in names)],
            source=FileSource(path=f"{folder}/source.parquet", timestamp_field="event_timestamp"),
        )
        store.apply([user, view])
        store.write_to_online_store("state", frame)
        wanted = [f"state:{name}" for name in names]
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            entities = [{"user_id": user_id} for user_id in json.loads(line)]
            began = time.perf_counter()
            found = store.get_online_features(features=wanted, entity_rows=entities).to_dict()
            took_us = (time.perf_counter() - began) * 1e6
            if found[names[-1]] != [float(floats - 1)] * len(entities):
                sys.exit("error: feast did not return what was written")
            print(took_us, file=answers, flush=True)


if __name__ == "__main__":
    main()
