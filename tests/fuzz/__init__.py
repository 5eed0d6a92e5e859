"""Damaged bytes for every verb of the core: each is a value or the one error, and takes memory as it is long.

    subjects.py   random specs, and what the product writes of each: records, remembered ids, layouts, event bodies
    mutations.py  what storage and attackers make of such bytes
    envelope.py   where the sections of a record are, so that damage gets past the envelope
    verbs.py      the verbs, in a list: a new one is a line there
    memory.py     how much an input may have allocated
    rounds.py     inputs one after the other in a process of its own, which may die or hang

`make fuzz INPUTS=1000000`; an input is named by a seed and a number, and comes again with `--seed S --input N`.
"""
