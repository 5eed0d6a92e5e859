"""Every mistake in a spec is reported with its line, its value and what would be accepted."""

from __future__ import annotations

import pytest

from tests.spec.written import HEAD, VIEWS, feature, message_of

CASES = {
    # The text itself
    "empty file": ("", 1, ["expected a mapping with name, events", "got None"]),
    "a list": ("- a\n- b\n", 1, ["expected a mapping", "['a', 'b']"]),
    "text": ("hello", 1, ["expected a mapping", "'hello'"]),
    "not YAML": (f"{HEAD}features: [", 6, ["not YAML", "column"]),
    "a tab": (f"{HEAD}features:\n\tviews:\n", 7, ["not YAML", "spaces, not tabs"]),
    "two documents": (f"{HEAD}{VIEWS}---\na: 1\n", 7, ["not YAML", "document"]),
    "a control character": (f"{HEAD}timezone: \x01\n", 6, ["not YAML", "U+0001"]),
    "an escape beyond Unicode": (f'{HEAD}timezone: "\\UFFFFFFFF"\n', 6, ["not YAML"]),
    "an alias of nothing": (f"{HEAD}features: *views\n", 6, ["not YAML", "undefined alias"]),
    "an alias inside itself": (
        f"{HEAD}features: &f {{views: *f}}\n",
        6,
        ["an alias refers to a value that contains it"],
    ),
    "too deep": ("[" * 5000, 1, ["nested too deeply"]),
    "a tag": (f"{HEAD}timezone: !!python/name:os.system\n", 6, ["timezone", "without a tag", "os.system"]),
    "a tag that does not fit": (f"{HEAD}seen_ids_cap: !!int many\n", 6, ["seen_ids_cap", "int", "'many'"]),
    "a number beyond 64 bits": (f"{HEAD}seen_ids_cap: 0x{'f' * 99}\n", 6, ["seen_ids_cap", "64 bits"]),
    # Keys
    "two features of one name": (
        f"{HEAD}features:\n  a: {{aggregate: count, windows: 1h}}\n  a: {{aggregate: count, windows: 1h}}\n",
        8,
        ["features: 'a' is a duplicate key, first used on line 7"],
    ),
    "a misspelt section": (f"{HEAD}feature: {{}}\n", 6, ["unknown key", "did you mean `features`?", "sequences"]),
    "a misspelt key": (feature("agregate: count, windows: 1h"), 7, ["features.views.agregate", "`aggregate`?"]),
    "a misspelt event role": (HEAD.replace("user:", "usr:"), 2, ["events.usr", "did you mean `user`?", "published"]),
    "an unknown key": (feature("aggregate: count, windows: 1h, xyzzy: 1"), 7, ["views.xyzzy: unknown key; accepted"]),
    "a key that is a boolean": (feature("aggregate: count, windows: 1h, where: {on: 1}"), 7, ["got on", "in quotes"]),
    "a key that is a list": (f"{HEAD}? [a]\n: 1\n", 6, ["expected text as a key"]),
    "a missing key": (feature("aggregate: count"), 7, ["features.views: aggregate count needs `windows:`", "10m"]),
    "a missing section key": (HEAD.replace("retention: 90d\n", VIEWS), 1, ["expected `retention:`", "30s", "got none"]),
    "nothing declared": (HEAD, 1, ["at least one entry under features, sequences or embeddings"]),
    "an empty section": (f"{HEAD}features:\n", 6, ["features: expected features by name, got nothing"]),
    "a bad feature name": (f"{HEAD}features: {{Views: {{aggregate: count, windows: 1h}}}}", 6, ["lower-case"]),
    # Values of the wrong kind
    "a feature that is a number": (f"{HEAD}features:\n  views: 5\n", 7, ["a mapping with aggregate", "got 5"]),
    "events that are text": (f"{VIEWS}events: a.avsc\n", 2, ["expected a mapping with schema, user", "'a.avsc'"]),
    "a misspelt aggregation": (feature("aggregate: cout, windows: 1h"), 7, ["last_k", "'cout'", "`count`?"]),
    "one misspelt of two": (feature("aggregate: [count, men], of: value, windows: 1h"), 7, ["aggregate[1]", "`mean`?"]),
    "a window that is a number": (
        feature("aggregate: count, windows: 10"),
        7,
        ["features.views.windows: expected a duration such as 10m or 7d, lifetime, or a list of them, got 10"],
    ),
    "a window that is no duration": (feature("aggregate: count, windows: [1h, 5 min]"), 7, ["windows[1]", "'5 min'"]),
    "a misspelt lifetime": (feature("aggregate: count, windows: lifetme"), 7, ["did you mean `lifetime`?"]),
    "a window twice": (feature("aggregate: count, windows: [1h, 1h]"), 7, ["at most once", "'1h' twice"]),
    "a window of one length spelt two ways": (
        feature("aggregate: count, windows: [1h, 60m]"),
        7,
        ["60m, which equals 1h"],
    ),
    "no value": (feature("aggregate: count, windows: "), 7, ["windows: expected a duration", "got nothing"]),
    "no value for an optional key": (f"{HEAD}sequences: {{a: {{fields: [value], last: 5, within: }}}}", 6, ["nothing"]),
    "a duration that is a number": (HEAD.replace("90d", "90") + VIEWS, 5, ["retention: expected a duration", "got 90"]),
    "a size without a unit": (f"{HEAD}max_record: 65536\n{VIEWS}", 6, ["max_record", "512KB", "such as 65536B"]),
    "a size spelt otherwise": (f"{HEAD}max_record: 2 MiB\n{VIEWS}", 6, ["max_record", "'2 MiB'", "`2MB`?"]),
    "a size in gigabytes": (f"{HEAD}max_record: 1GB\n{VIEWS}", 6, ["from 64KB to 256MB", "'1GB'"]),
    "a size below the least": (f"{HEAD}max_record: 63KB\n{VIEWS}", 6, ["from 64KB to 256MB", "'63KB'"]),
    "a size above what Redis takes": (f"{HEAD}max_record: 257MB\n{VIEWS}", 6, ["from 64KB to 256MB", "'257MB'"]),
    "a size with a fraction": (f"{HEAD}max_record: 1.5MB\n{VIEWS}", 6, ["from 64KB to 256MB", "'1.5MB'"]),
    "a limit under another name": (f"{HEAD}max_record_bytes: 1MB\n{VIEWS}", 6, ["did you mean `max_record`?"]),
    "a duration beyond a century": (HEAD.replace("90d", "36501d") + VIEWS, 5, ["at most 36500d", "'36501d'"]),
    "a number that is text": (feature("aggregate: last_k, of: value, windows: 1h, k: five"), 7, ["views.k", "'five'"]),
    "a number out of range": (feature("aggregate: last_k, of: value, windows: 1h, k: 0"), 7, ["1 to 10000", "got 0"]),
    "a default that is text": (feature("aggregate: count, windows: 1h, default: none"), 7, ["a number", "'none'"]),
    "an unknown time zone": (f"{HEAD}timezone: Mars/Base\n{VIEWS}", 6, ["Europe/Berlin", "'Mars/Base'"]),
    "a text that is a boolean": (HEAD.replace("feed", "on") + VIEWS, 1, ["name", "got on, which YAML", "in quotes"]),
    "a filter that is text": (
        feature("aggregate: count, windows: 1h, where: view"),
        7,
        ["where: expected event fields"],
    ),
    "a filter that accepts nothing": (feature("aggregate: count, windows: 1h, where: {action: []}"), 7, ["got []"]),
    "a filter on null": (feature("aggregate: count, windows: 1h, where: {action: null}"), 7, ["a value", "got null"]),
    "a filter of an unknown word": (
        feature("aggregate: count, windows: 1h, where: {value: {gte: 1}}"),
        7,
        ["where.value.gte: unknown word of a filter", 'did you mean `">="`?', "accepted here: <, <=, >, >=, not"],
    ),
    "a filter of a word that is no operator": (
        feature("aggregate: count, windows: 1h, where: {action: {exist: true}}"),
        7,
        ["where.action.exist: unknown word of a filter; did you mean `exists`?"],
    ),
    "a bound that is text": (
        feature("aggregate: count, windows: 1h, where: {value: {'<': '5'}}"),
        7,
        ["views.where.value", "expected a finite number after `<`, got '5'"],
    ),
    "bounds that nothing lies within": (
        feature("aggregate: count, windows: 1h, where: {value: {'<': 5, '>': 5}}"),
        7,
        ["where.value: expected bounds that a number can lie within, got > 5 and < 5"],
    ),
    "bounds of a text": (
        feature("aggregate: count, windows: 1h, where: {action: {'<': 5}}"),
        7,
        ["expected a numeric field for `<`, got `action`", "list the values"],
    ),
    "whether it exists, in other words": (
        feature("aggregate: count, windows: 1h, where: {value: {exists: 1}}"),
        7,
        ["expected true or false after `exists:`"],
    ),
    "null where there is none": (
        feature("aggregate: count, windows: 1h, where: {user_id: {exists: false}}"),
        7,
        ["expected a field that may be null, got `user_id`"],
    ),
    "a list in no list": (
        feature("aggregate: count, windows: 1h, where: {action: {contains: view}}"),
        7,
        ["expected a field with lists for `contains`, got `action`"],
    ),
    "any of no list": (
        feature("aggregate: count, windows: 1h, where: {any: {action: view}}"),
        7,
        ["where.any: expected a list of filters", "after `any:`"],
    ),
    "any of something that is no filter": (
        feature("aggregate: count, windows: 1h, where: {any: [{action: view}, like]}"),
        7,
        ["where.any[1]: expected a filter, such as {action: view}, got 'like'"],
    ),
    "any of everything": (
        feature("aggregate: count, windows: 1h, where: {any: [{action: view}, {}]}"),
        7,
        ["where.any: expected conditions in each filter of `any:`"],
    ),
    "the opposite of everything": (
        feature("aggregate: count, windows: 1h, where: {not: {}}"),
        7,
        ["where.not: expected conditions after `not:`, got none"],
    ),
    "an unknown field deep in a filter": (
        feature("aggregate: count, windows: 1h, where: {any: [{action: view}, {not: {acton: {not: like}}}]}"),
        7,
        ["where.any[1].not.acton.not: expected a field", "did you mean `action`?"],
    ),
    "an unquoted operator": (
        feature("aggregate: count, windows: 1h, where: {value: {>: 5}}"),
        7,
        ["not YAML", 'put operators in quotes, as in {">=": 5}'],
    ),
    "a text that looks like an operator": (
        feature("aggregate: count, windows: 1h, where: {category: '!= news'}"),
        7,
        ["looks like a condition; write `{not: news}`", "`{is: '!= news'}` to mean that very text"],
    ),
    "a text that looks like a comparison": (
        feature("aggregate: count, windows: 1h, where: {category: [a, '>5']}"),
        7,
        ["where.category[1]", 'write `{">": 5}`'],
    ),
    "a text that looks like a list": (
        feature("aggregate: count, windows: 1h, where: {category: 'news, sport'}"),
        7,
        ["looks like a list; write `[news, sport]`", "`{is: 'news, sport'}`"],
    ),
    "a time of day as a number": (
        feature("aggregate: count, windows: 1h, where: {value: 1:30}"),
        7,
        ["expected a number for field `value`", "1:30 is no number"],
    ),
    "a number beyond 64 bits of a bound": (
        feature("aggregate: count, windows: 1h, where: {value: {'>': 99999999999999999999}}"),
        7,
        ["at most 64 bits"],
    ),
    "a long value": (feature(f"aggregate: {'x' * 500}, windows: 1h"), 7, ["xxx..."]),
    # Parts that do not fit
    "keys of nothing": (feature("aggregate: count_by, windows: 1h"), 7, ["count_by needs `by:`, the event field"]),
    "keys by a fraction": (feature("aggregate: count_by, by: value, windows: 1h"), 7, ["views.by", "a key", "double"]),
    "keys of four fields": (feature("aggregate: count_by, by: [a, b, c, d], windows: 1h"), 7, ["views.by", "up to 3"]),
    "no keys kept": (feature("aggregate: count_by, by: creator, keys: 0, windows: 1h"), 7, ["views.keys", "got 0"]),
    "more listed than kept": (
        feature("aggregate: top_k, by: creator, k: 65, windows: 1h"),
        7,
        ["expected `k:` of at most `keys:`, 64 by default, got 65"],
    ),
    "a measure of nothing": (
        feature("aggregate: top_k, by: creator, k: 5, measure: sum, windows: 1h"),
        7,
        ["measure sum needs `of:`"],
    ),
    "a field that top_k does not go by": (
        feature("aggregate: top_k, by: creator, k: 5, of: value, windows: 1h"),
        7,
        ["top_k by count takes no `of:`", "`measure: sum`"],
    ),
    "an unknown measure": (
        feature("aggregate: top_k, by: creator, k: 5, measure: max, windows: 1h"),
        7,
        ["views.measure: expected count, sum or mean", "'max'"],
    ),
    "a count by key": (feature("aggregate: count, by: creator, windows: 1h"), 7, ["takes no `by:`", "count_by"]),
    "sum of nothing": (feature("aggregate: sum, windows: 1h"), 7, ["features.views: aggregate sum needs `of:`"]),
    "last_k without k": (
        feature("aggregate: last_k, of: value, windows: 1h"),
        7,
        ["aggregate last_k needs `k:`, how many"],
    ),
    "distinct without k": (feature("aggregate: last_distinct_k, of: value, windows: 1h"), 7, ["needs `k:`"]),
    "edges for a sum": (
        feature("aggregate: sum, of: value, windows: 1h, edges: [1]"),
        7,
        ["aggregate sum takes no `edges:`; it is for histogram"],
    ),
    "a histogram without edges": (feature("aggregate: histogram, of: value, windows: 1h"), 7, ["needs `edges:`"]),
    "edges that descend": (
        feature("aggregate: histogram, of: value, windows: 1h, edges: [1, 5, 3]"),
        7,
        ["edges", "expected ascending numbers, got 3 after 5"],
    ),
    "an infinite edge": (feature("aggregate: histogram, of: value, windows: 1h, edges: [.inf]"), 7, ["finite"]),
    "an edge that is text": (feature("aggregate: histogram, of: value, windows: 1h, edges: [a]"), 7, ["edges", "'a'"]),
    "a ratio of one": (
        feature("aggregate: ratio, numerator: {aggregate: count}, windows: 1h"),
        7,
        ["aggregate ratio needs `denominator:`"],
    ),
    "a misspelt part": (
        feature("aggregate: ratio, numerator: {aggregate: coun}, denominator: {aggregate: count}, windows: 1h"),
        7,
        ["numerator.aggregate", "'coun'", "did you mean `count`?"],
    ),
    "a misspelt key of a part": (
        feature("aggregate: ratio, numerator: {agregate: count}, denominator: {aggregate: count}, windows: 1h"),
        7,
        ["numerator.agregate: unknown key; did you mean `aggregate`?", "accepted here: aggregate, of, where"],
    ),
    "a part of nothing": (
        feature("aggregate: ratio, numerator: {aggregate: sum}, denominator: {aggregate: count}, windows: 1h"),
        7,
        ["numerator: aggregate sum needs `of:`"],
    ),
    "a part of an unknown field": (
        feature(
            "aggregate: ratio, numerator: {aggregate: sum, of: valu}, denominator: {aggregate: count}, windows: 1h"
        ),
        7,
        ["numerator.of: expected a field of user_state.Interaction", "did you mean `value`?"],
    ),
    "a prior that weighs nothing": (
        feature(
            "aggregate: ratio, numerator: {aggregate: count}, denominator: {aggregate: count}, windows: 1h,"
            " prior: {rate: 0.1, weight: 0}"
        ),
        7,
        ["prior.weight: expected a number above 0", "got 0"],
    ),
    "filters that exclude each other": (
        feature(
            "aggregate: ratio, numerator: {aggregate: count, where: {action: like}}, denominator: {aggregate: count},"
            " where: {action: view}, windows: 1h"
        ),
        7,
        ["no `action` matches both `where:` and numerator's"],
    ),
    "a field beside a sum": (
        feature("aggregate: sum, of: value, with: item_id, windows: 1h"),
        7,
        ["takes no `with:`; it is for last_k"],
    ),
    "an unknown field beside": (
        feature("aggregate: last_k, of: value, k: 3, with: [item], windows: 1h"),
        7,
        ["with[0]: expected a field of user_state.Interaction, got 'item'"],
    ),
    "the last of text": (feature("aggregate: last, of: item_id, windows: 1h"), 7, ["field", "for last", "`item_id`"]),
    "distinct of nothing": (
        feature("aggregate: distinct, windows: 1h"),
        7,
        ["aggregate distinct needs `of:`, the event"],
    ),
    "distinct over a half-life": (
        feature("aggregate: distinct, of: item_id, windows: 1h, half_life: 1h"),
        7,
        ["distinct takes no `half_life:`; it is for decayed_count"],
    ),
    "distinct of an unknown field": (
        feature("aggregate: distinct, of: itm_id, windows: 1h"),
        7,
        ["views.of", "'itm_id'", "did you mean `item_id`?"],
    ),
    "a cap of nothing": (
        feature("aggregate: distinct, of: item_id, windows: 1h, cap: 0"),
        7,
        ["views.cap: expected how many distinct values to count up to, a whole number from 1 to 65535, got 0"],
    ),
    "a cap beyond what a record numbers": (
        feature("aggregate: distinct, of: item_id, windows: 1h, cap: 65536"),
        7,
        ["views.cap", "1 to 65535, got 65536"],
    ),
    "a cap that is text": (feature("aggregate: distinct, of: item_id, windows: 1h, cap: many"), 7, ["cap", "'many'"]),
    "a cap for a count": (
        feature("aggregate: count, windows: 1h, cap: 5"),
        7,
        ["aggregate count takes no `cap:`; it is for distinct"],
    ),
    "a misspelt distinct": (feature("aggregate: distnct, of: item_id, windows: 1h"), 7, ["did you mean `distinct`?"]),
    "active days of a field": (
        feature("aggregate: [active_days, streak_days], of: itm_id, windows: 7d"),
        7,
        ["views.of: expected a field of user_state.Interaction", "did you mean `item_id`?"],
    ),
    "active days over nothing": (feature("aggregate: active_days"), 7, ["active_days needs `windows:`"]),
    "a profile over windows": (
        feature("aggregate: hour_of_day, half_life: 7d, windows: 7d"),
        7,
        ["aggregate hour_of_day takes no `windows:`"],
    ),
    "a profile without a half-life": (feature("aggregate: day_of_week"), 7, ["day_of_week needs `half_life:`", "30s"]),
    "a misspelt profile": (feature("aggregate: hours_of_day, half_life: 7d"), 7, ["did you mean `hour_of_day`?"]),
    "a sequence named like a distinct count": (
        f"{HEAD}features:\n  a: {{aggregate: distinct, of: item_id, windows: 1h}}\n"
        "sequences:\n  a_distinct_1h: {fields: [value], last: 5}\n",
        9,
        ["'a_distinct_1h' is also an output of features.a on line 7"],
    ),
    "sessions without a gap": (
        feature("aggregate: session_count, windows: 1h"),
        7,
        ["features.views: aggregate session_count needs `gap:`, a duration"],
    ),
    "a gap without sessions": (
        feature("aggregate: count, windows: 1h, gap: 30m"),
        7,
        ["count takes no `gap:`; it is for session_count, session_length_mean"],
    ),
    "a gap that is no duration": (
        feature("aggregate: session_count, windows: 1h, gap: 30"),
        7,
        ["features.views.gap: expected a duration such as 30s", "got 30"],
    ),
    "a gap beyond retention": (
        feature("aggregate: session_count, windows: 1h, gap: 91d"),
        7,
        ["views.gap", "`retention`, 90d, got 91d"],
    ),
    "sessions of a field": (
        feature("aggregate: session_count, windows: 1h, gap: 30m, of: valu"),
        7,
        ["views.of", "did you mean `value`?"],
    ),
    "a misspelt session aggregation": (
        feature("aggregate: sesion_count, windows: 1h, gap: 30m"),
        7,
        ["'sesion_count'", "did you mean `session_count`?"],
    ),
    "distinct values of nothing": (feature("aggregate: approx_distinct, windows: 1h"), 7, ["needs `of:`, the event"]),
    "a misspelt sketch": (
        feature("aggregate: aprox_distinct, of: item_id, windows: 1h"),
        7,
        ["'aprox_distinct'", "did you mean `approx_distinct`?"],
    ),
    "an error that no sketch has": (
        feature("aggregate: approx_distinct, of: item_id, windows: 1h, error: 0.001"),
        7,
        ["views.error: expected a share from 0.01 to 0.1, such as 0.02, got 0.001"],
    ),
    "an error in per cent": (
        feature("aggregate: approx_distinct, of: item_id, windows: 1h, error: 2%"),
        7,
        ["views.error", "'2%'"],
    ),
    "an error without a sketch": (
        feature("aggregate: count, windows: 1h, error: 0.02"),
        7,
        ["count takes no `error:`; it is for approx_distinct, approx_quantiles"],
    ),
    "quantiles without shares": (
        feature("aggregate: approx_quantiles, of: value, windows: 1h"),
        7,
        ["approx_quantiles needs `quantiles:`, a number from 0 to 1"],
    ),
    "quantiles of text": (
        feature("aggregate: approx_quantiles, of: creator, windows: 1h, quantiles: [0.5]"),
        7,
        ["views.of", "numeric or boolean field for approx_quantiles", "string"],
    ),
    "a percentile": (
        feature("aggregate: approx_quantiles, of: value, windows: 1h, quantiles: [0.5, 95]"),
        7,
        ["views.quantiles[1]: expected a number from 0 to 1", "got 95"],
    ),
    "a quantile twice": (
        feature("aggregate: approx_quantiles, of: value, windows: 1h, quantiles: [0.5, 0.5]"),
        7,
        ["at most once", "0.5 twice"],
    ),
    "no quantiles": (
        feature("aggregate: approx_quantiles, of: value, windows: 1h, quantiles: []"),
        7,
        ["views.quantiles", "got []"],
    ),
    "quantiles of a count": (
        feature("aggregate: count, windows: 1h, quantiles: 0.5"),
        7,
        ["count takes no `quantiles:`; it is for approx_quantiles"],
    ),
    "skew beyond lateness": (HEAD.replace("5m", "2d") + VIEWS, 4, ["max_clock_skew", "`allowed_lateness`, 1d, got 2d"]),
    "lateness beyond retention": (HEAD.replace("1d", "91d") + VIEWS, 3, ["at most `retention`, 90d, got 91d"]),
    "a window beyond retention": (feature("aggregate: count, windows: [1h, 91d]"), 7, ["windows[1]", "`retention`"]),
    "within beyond retention": (
        f"{HEAD}sequences:\n  a: {{fields: [value], last: 5, within: 91d}}\n",
        7,
        ["sequences.a.within", "90d, got 91d"],
    ),
    "outputs of one name": (
        f"{HEAD}{VIEWS}sequences:\n  views_count_1h: {{fields: [value], last: 5}}\n",
        8,
        ["'views_count_1h' is also an output of features.views on line 6"],
    ),
    # Tiles
    "a window too short for tiles": (feature("aggregate: count, windows: 47s"), 7, ["48s", "`tiles:`", "47s"]),
    "tiles of no window": (f"{HEAD}tiles: {{1d: 1h}}\n{VIEWS}", 6, ["tiles.1d", "(1h)", "got 1d"]),
    "tiles that do not divide their window": (f"{HEAD}tiles: {{1h: 7m}}\n{VIEWS}", 6, ["divides 1h, got 7m"]),
    "tiles that do not divide each other": (
        f"{HEAD}features: {{a: {{aggregate: count, windows: [1h, 1d]}}}}\ntiles:\n  1d: 90s\n",
        8,
        ["1m (1h) and 90s (1d)"],
    ),
    "tiles that are no duration": (f"{HEAD}tiles: {{1h: 60}}\n{VIEWS}", 6, ["tiles.1h", "{1d: 1h}", "got 60"]),
    "tiles of what is no duration": (f"{HEAD}tiles: {{hour: 1m}}\n{VIEWS}", 6, ["tiles.hour", "such as 1d"]),
    # Event fields
    "no such schema": (HEAD.replace("interaction", "interactions") + VIEWS, 2, ["`interaction.avsc`?", "message.avsc"]),
    "a schema that is a folder": (HEAD.replace("interaction.avsc", ".") + VIEWS, 2, ["events.schema", "not a file"]),
    "an unknown user field": (HEAD.replace("user_id", "userid") + VIEWS, 2, ["events.user", "'userid'", "`user_id`?"]),
    "an unknown id field": (HEAD.replace("event_id", "eventid") + VIEWS, 2, ["events.id", "did you mean `event_id`?"]),
    "an unknown time field": (HEAD.replace("event_time", "event_tme") + VIEWS, 2, ["events.time", "`event_time`?"]),
    "an unknown published field": (
        HEAD.replace("}", ", published: publishd_at}") + VIEWS,
        2,
        ["events.published", "did you mean `published_at`?"],
    ),
    "an unknown field to sum": (feature("aggregate: sum, of: valeu, windows: 1h"), 7, ["views.of", "`value`?"]),
    "an unknown field to filter by": (
        feature("aggregate: count, windows: 1h, where: {acton: view}"),
        7,
        ["views.where.acton", "did you mean `action`?"],
    ),
    "an unknown field in a sequence": (
        f"{HEAD}sequences:\n  a:\n    last: 5\n    fields:\n      - item_id\n      - catgory\n",
        11,
        ["sequences.a.fields[1]", "'catgory'", "`category`?"],
    ),
    "an unknown weight field": (
        f"{HEAD}embeddings:\n  e:\n    weight_field: acton\n",
        8,
        ["embeddings.e.weight_field", "`action`?"],
    ),
    "a sum of text": (
        feature("aggregate: sum, of: creator, windows: 1h"),
        7,
        ["numeric or boolean field for sum", "string"],
    ),
    "a user that is a number": (HEAD.replace("user_id", "value") + VIEWS, 2, ["`user`", "`value`", "double"]),
    "a time that is no time": (HEAD.replace("event_time", "value") + VIEWS, 2, ["a timestamp, a date", "double"]),
    "an embedding of a number": (
        f"{HEAD}embeddings:\n  e: {{kind: decayed_mean, of: value, dimensions: 4, half_life: 1h}}",
        7,
        ["embeddings.e.of", "a type that ids have (string, enum, uuid, int, long", "double"],
    ),
    "an unknown kind of embedding": (
        f"{HEAD}embeddings:\n  e: {{kind: decayed_men, of: item_id, dimensions: 4, half_life: 1h}}",
        7,
        ["embeddings.e.kind", "`decayed_mean`?"],
    ),
    "an embedding without half-lives": (
        f"{HEAD}embeddings:\n  e: {{kind: decayed_mean, of: item_id, dimensions: 4}}",
        7,
        ["embeddings.e: kind decayed_mean needs `half_life:`, a duration such as 1h or 7d"],
    ),
    "a weight of zero": (
        f"{HEAD}embeddings:\n  e: {{kind: decayed_mean, of: item_id, dimensions: 4, half_life: 1h, weights: {{a: 0}}}}",
        7,
        ["embeddings.e.weights.a", "not 0", "got 0"],
    ),
    "an unquoted yes against text": (
        feature("aggregate: count, windows: 1h, where: {action: yes}"),
        7,
        ["views.where.action: expected text", "got yes, which YAML reads as a boolean", "in quotes"],
    ),
    "an unquoted number against text": (
        feature("aggregate: count, windows: 1h, where: {action: [view, 0x10]}"),
        7,
        ["where.action[1]", "got 0x10; put it in quotes"],
    ),
    "text against a number": (
        feature("aggregate: count, windows: 1h, where: {value: '5'}"),
        7,
        ["a number", "'5'; write it without quotes"],
    ),
}


@pytest.mark.parametrize(("text", "line", "fragments"), CASES.values(), ids=CASES.keys())
def test_a_mistake_is_reported_with_its_line(text: str, line: int, fragments: list[str]) -> None:
    message = message_of(text)
    about = [part for part in message.splitlines() if part.startswith(f"spec.yaml:{line}: ")]
    assert any(all(fragment in part for fragment in fragments) for part in about), message


def test_all_mistakes_are_reported_together_in_the_order_of_lines() -> None:
    text = HEAD.replace("user_id", "userid").replace("5m", "5") + "features:\n  a: {aggregate: cout, of: valeu}\n"
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in message_of(text).splitlines()] == [
        "spec.yaml:2 events.user",
        "spec.yaml:4 max_clock_skew",
        "spec.yaml:7 features.a.aggregate",
        "spec.yaml:7 features.a.of",
    ]


def test_a_misspelt_key_is_not_also_reported_missing() -> None:
    assert len(message_of(feature("agregate: count, windows: 1h")).splitlines()) == 1
