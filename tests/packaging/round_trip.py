"""Folds events into Redis and reads the features, with whatever user_state this Python has: a program of its own.

    python round_trip.py SPEC REDIS

Prints, as JSON, where the package lies, and three answers.
"""

import json
import sys
import time
from contextlib import closing

import user_state
from user_state import UserStateClient, load_spec
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.store.redis_store import RedisStateStore

spec = load_spec(sys.argv[1])
url = sys.argv[2]
now_us = time.time_ns() // 1000
blank = {"value": None, "category": None, "creator": None, "surface": None, "published_at": None}
events = [
    {**blank, "event_id": f"e{n}", "user_id": f"u{n % 2}", "item_id": f"i{n}", "action": "view", "event_time": now_us}
    for n in (0, 1, 2, 3, 4, 4)  # the last one twice
]
plan = compile_plan(spec)
decoder = EventDecoder(plan, spec.schema)
with closing(RedisStateStore(url, plan.name, timeout_s=5)) as store:
    folder = Folder(plan, store)
    folder.start()
    folder.fold([decoder.row(event, None) for event in events])
with UserStateClient.from_url(url, spec) as client:
    views = client.get_many(["u0", "u1", "nobody"]).values[:, client.names.index("views_count_1h")]
print(json.dumps({"place": user_state.__file__, "views": views.tolist()}))
