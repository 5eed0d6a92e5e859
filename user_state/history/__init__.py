"""The same spec over history: what serving would have answered at each label."""
