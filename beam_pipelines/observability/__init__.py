"""Dashboard, rules and docs/metrics.md, made from `transforms.metrics` and `alerts`: `make docs` writes them."""
