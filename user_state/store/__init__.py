"""Where records live: the interface a fold needs, and Redis behind it."""
