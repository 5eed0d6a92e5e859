"""Folding in is the least of the loss, by whichever of its two forms, and follows the version of the table."""

import numpy as np
import pytest

from tests.packed import features
from tests.trying import T0, H, S, event, plan_of, record_of
from user_state.embeddings.table import ItemTable
from user_state.oracle.composed import Part, folded_in

DIMENSIONS, LAST = 140, 150
ITEMS = [f"i{n}" for n in range(300)]
TABLE = ItemTable(ITEMS, np.random.default_rng(5).normal(size=(300, DIMENSIONS)).astype(np.float32))
OTHER = ItemTable(ITEMS, TABLE.vectors[::-1] * np.float32(2))
WEIGHTS = {"view": 1.0, "like": 1e3, "skip": -1.0, "share": 1e-3}
FOLD = {"kind": "fold_in", "of": "item_id", "vectors": "shelf", "last": LAST, "weights": WEIGHTS}
SETTINGS = {
    "fold_10m": {"half_life": "10m", "alpha0": 0.2, "regularisation": 0.5},
    "fold_30d": {"half_life": "30d", "alpha0": 0.2, "regularisation": 0.5},
    "bare_1h": {"half_life": "1h", "alpha0": 0.0, "regularisation": 2.0},
}
HALF_LIVES_US = {"fold_10m": H // 6, "fold_30d": 720 * H, "bare_1h": H}
PLAN = plan_of(
    embeddings={name.split("_")[0] + str(n): {**FOLD, **made} for n, (name, made) in enumerate(SETTINGS.items())},
    items={"shelf": {"dimensions": DIMENSIONS}},
)


@pytest.mark.parametrize("few", [[1, 2, 30], [1, 69, 70, 71], [3, 139, 140], [LAST]], ids=str)
def test_users_of_few_events_and_of_many_are_folded_in_by_brute_force_too(few: list[int]) -> None:
    """Two forms, from one event to more than dimensions; forty users are more than are solved at once."""
    rng = np.random.default_rng(sum(few))
    counts = [*few, *([1] * 40 if few[-1] == 30 else [])]
    events, parts = [], []
    for user, count in enumerate(counts):
        mine = [
            (T0 + n * S, str(rng.choice(list(WEIGHTS))), int(item))
            for n, item in enumerate(rng.integers(300, size=count))
        ]
        events += [event(at, f"u{user}", action=action, item_id=ITEMS[item]) for at, action, item in mine]
        parts.append(mine)
    records = record_of(PLAN, events)
    for table in (TABLE, OTHER, TABLE):  # a plan follows the version that is read
        found = features(PLAN, records, T0 + H, {"shelf": table}).embeddings
        gram = table.vectors.astype(np.float64).T @ table.vectors.astype(np.float64)
        for user, mine in enumerate(parts[:5]):
            held = [Part(at, WEIGHTS[action], table.vectors[item].astype(np.float64)) for at, action, item in mine]
            for (name, made), vectors in zip(SETTINGS.items(), found.values(), strict=True):
                factors = (made["alpha0"], made["regularisation"])
                expected = folded_in(held, HALF_LIVES_US[name], gram, *factors)
                np.testing.assert_allclose(vectors[user], expected, rtol=1e-4, atol=1e-6, err_msg=f"{name} of {user}")
        assert all(vectors.any() for vectors in found.values())
