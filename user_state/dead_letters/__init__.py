"""Dead letters, read and explained: what was refused, how often, when, and what would help."""
