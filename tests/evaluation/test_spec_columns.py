"""The columns of a log come from the spec where it says so; what is given counts instead."""

import json

import pytest

from tests.trying import spec_of
from user_state.errors import InputError
from user_state.evaluation.spec_columns import columns_of
from user_state.events.convert import Columns
from user_state.spec import parse_spec

SHOP = {
    "type": "record",
    "name": "Bought",
    "fields": [
        *({"name": name, "type": "string"} for name in ("order", "buyer", "sku", "shop")),
        {"name": "bought_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
HEAD = """
name: shop
events: {schema: bought.avsc, user: buyer, id: order, time: bought_at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {all: {aggregate: count, windows: 1d}}
"""
EMBEDDING = "{kind: decayed_mean, of: %s, half_life: 1d, %s}"
HASHED, OVER_TABLE = "dimensions: 8", "vectors: catalogue"


def shop(tmp_path, **embeddings):
    (tmp_path / "bought.avsc").write_text(json.dumps(SHOP))
    declared = "".join(f"  {name}: {text}\n" for name, text in embeddings.items())
    items = "items: {catalogue: {dimensions: 8}}\n" if "catalogue" in declared else ""
    return parse_spec(HEAD + (f"embeddings:\n{declared}" if declared else "") + items, beside=tmp_path)


def test_without_a_spec_they_are_those_of_data_sets():
    assert columns_of(None) == Columns()


def test_user_item_time_and_its_unit_are_the_specs(tmp_path):
    found = columns_of(shop(tmp_path, taste=EMBEDDING % ("sku", HASHED)))
    assert found == Columns(user="buyer", item="sku", time="bought_at", time_unit="ms")


def test_what_is_given_counts_instead(tmp_path):
    spec = shop(tmp_path, taste=EMBEDDING % ("sku", HASHED))
    assert columns_of(spec, user="u", item="i", time="t", value="v") == Columns(
        user="u", item="i", time="t", time_unit="s", value="v"
    )
    assert columns_of(spec, time_unit="us").time_unit == "us"


def test_of_several_fields_the_one_of_the_table_counts_and_else_it_has_to_be_said(tmp_path):
    spec = shop(tmp_path, taste=EMBEDDING % ("sku", OVER_TABLE), places=EMBEDDING % ("shop", HASHED))
    assert columns_of(spec, table="catalogue").item == "sku"
    with pytest.raises(InputError, match=r"--item-column, since the spec .* its embeddings are of sku, shop"):
        columns_of(spec)
    with pytest.raises(InputError, match=r"--item-column, since the spec .* it has no embedding"):
        columns_of(shop(tmp_path))
    assert columns_of(spec_of()).item == "item_id"
