"""A generation of records from history: events by shard on disk, sorted, folded a user at a time, written once.

    judge.py    which events of a file are folded, by their own clocks
    fold.py     events of a shard -> records and remembered ids
    write.py    records -> Redis, where nobody else writes them
    job.py      all of it, and how it goes on after it was killed

`history` has what it shares with training sets.
"""
