"""Real servers that tests start on loopback and stop again: no mocks, and nothing but what they started."""
