"""Records to outputs: what a client, a training set and an evaluation read, by the same code."""
