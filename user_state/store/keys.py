"""The only place that spells Redis keys.

    {name}:{{user}}:state    the record
    {name}:{{user}}:seen     the remembered event ids
    {name}:{{user}}:turn     which worker has the next turn at writing the user's record, for a moment (`contention`)
    {name}:{%}:probe         for a moment, when a user's key was refused: is another refused too? (`redis_store`)
    {name}:registry          hash: which spec writes the records, and the layouts of those that did (`registry`)
    {name}:beat:{worker}     how many batches a worker has written; less than it knows of: Redis has lost data
    {name}:writer            the run that writes records here without reading them back (`view`)
    {name}:run:{run}         hash: what the processes of a run tell each other (`run_board`)
    {name}:run:{run}:trouble what hinders them, while it does
    {name}:items:{table}     which version of a table of item vectors is in use; below it the versions (`item_tables`)
    {name}:{{name}:items:{table}}:used    hash: since when which version was in use
    {name}:backfill          hash: which shards of a backfill are there whole (`backfill_marks`)
    {name}:generations       hash: the generations of the spec's records, and which one is served (`generations`)

Of the records of a generation, {name} is the spec's name, @ and the generation: `feed@2026-11`. Tables that are loaded
and the list of generations are the spec's alone.

The braces around the user are Redis Cluster's hash tag: a user's two keys lie in one slot and can change together.
Braces inside a user id would move the tag, so they are percent-escaped, and so is the percent sign.
"""

from __future__ import annotations

from collections.abc import Sequence


def record_key(name: str, user: str) -> str:
    """Return the key of a user's record.

    >>> record_key("feed", "u1"), record_key("feed", "a{b}")
    ('feed:{u1}:state', 'feed:{a%7Bb%7D}:state')
    """
    return f"{name}:{{{_escape(user)}}}:state"


def record_keys(name: str, users: Sequence[str]) -> list[str]:
    """Return the keys of many users' records.

    >>> record_keys("feed", ["u1", "a{b}"]) == [record_key("feed", "u1"), record_key("feed", "a{b}")]
    True
    """
    joined = "".join(users)
    if "{" in joined or "}" in joined or "%" in joined:
        return [record_key(name, user) for user in users]
    return [f"{name}:{{{user}}}:state" for user in users]


def seen_key(name: str, user: str) -> str:
    """Return the key of a user's remembered event ids."""
    return f"{name}:{{{_escape(user)}}}:seen"


def record_and_seen_keys(name: str, user: str) -> tuple[str, str]:
    """Return both keys of a user.

    >>> record_and_seen_keys("feed", "u1") == (record_key("feed", "u1"), seen_key("feed", "u1"))
    True
    """
    both = f"{name}:{{{_escape(user)}}}:"
    return both + "state", both + "seen"


def record_pattern(name: str) -> str:
    """Return the glob that the keys of all records match."""
    return f"{name}:{{*}}:state"


def user_of_record(name: str, key: str) -> str:
    """Return the user whose record has this key.

    >>> user_of_record("feed", record_key("feed", "a{b}%7B"))
    'a{b}%7B'
    """
    escaped = key.removeprefix(f"{name}:{{").removesuffix("}:state")
    return escaped.replace("%7B", "{").replace("%7D", "}").replace("%25", "%")


def turn_key(name: str, user: str) -> str:
    """Return the key of who has the next turn at a user's record."""
    return f"{name}:{{{_escape(user)}}}:turn"


def probe_keys(name: str) -> tuple[str, str, str]:
    """Return keys as a user's record, ids and turn have, in one slot; they can be no user's, for whom % is escaped.

    >>> probe_keys("feed")[0], record_key("feed", "%")
    ('feed:{%}:probe', 'feed:{%25}:state')
    """
    return f"{name}:{{%}}:probe", f"{name}:{{%}}:probe-seen", f"{name}:{{%}}:probe-turn"


def registry_key(name: str) -> str:
    """Return the key of the hash of specs and layouts."""
    return f"{name}:registry"


def beat_key(name: str, worker: str) -> str:
    """Return the key of how many batches a worker has written."""
    return f"{name}:beat:{worker}"


def writer_key(name: str) -> str:
    """Return the key of the run that writes records whose truth it holds itself."""
    return f"{name}:writer"


def run_key(name: str, run: str) -> str:
    """Return the key of what the processes of a run tell each other."""
    return f"{name}:run:{run}"


def run_trouble_key(name: str, run: str) -> str:
    """Return the key of what hinders the processes of a run."""
    return f"{name}:run:{run}:trouble"


def generations_key(name: str) -> str:
    """Return the key of the hash of a spec's generations."""
    return f"{name}:generations"


def backfill_key(name: str) -> str:
    """Return the key of which shards of a backfill are there."""
    return f"{name}:backfill"


def key_patterns(keyspace: str) -> tuple[str, ...]:
    """Return the globs that all keys of a generation match, and no key of another.

    >>> key_patterns("feed@g1")
    ('feed@g1:*', 'feed@g1.items.*')
    """
    return f"{keyspace}:*", f"{keyspace}.items.*"


def item_pointer_key(name: str, table: str) -> str:
    """Return the key that names the version of a table that is in use."""
    return f"{name}:items:{table}"


def item_activations_key(name: str, table: str) -> str:
    """Return the key of the hash of when which version came into use; it lies in the cluster slot of the pointer.

    >>> item_activations_key("feed", "catalogue")
    'feed:{feed:items:catalogue}:used'
    """
    return f"{name}:{{{item_pointer_key(name, table)}}}:used"


def item_lock_key(name: str, table: str) -> str:
    """Return the key that is held by who changes a table."""
    return f"{name}:items:{table}:lock"


def item_version_key(name: str, table: str, version: str) -> str:
    """Return the key of what a version of a table is."""
    return f"{name}:items:{table}:{version}"


def item_gram_key(name: str, table: str, version: str) -> str:
    """Return the key of the gram matrix of a version."""
    return f"{name}:items:{table}:{version}:gram"


def item_chunk_key(name: str, table: str, version: str, chunk: int) -> str:
    """Return the key of a part of a version.

    >>> item_chunk_key("feed", "catalogue", "0123456789abcdef", 7)
    'feed:items:catalogue:0123456789abcdef:7'
    """
    return f"{name}:items:{table}:{version}:{chunk}"


def _escape(user: str) -> str:
    if "{" in user or "}" in user or "%" in user:
        return user.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return user
