"""Writes docs/metrics.md, the Grafana dashboard and the Prometheus rules from the list of metrics: `make docs`.

    python docs/generate_metrics.py

A test compares the files with what this gives.
"""

from __future__ import annotations

from pathlib import Path

from beam_pipelines.observability.grafana import dashboard_text
from beam_pipelines.observability.page import page
from beam_pipelines.observability.prometheus import rules_text

ROOT = Path(__file__).parents[1]
FILES = {
    ROOT / "docs" / "metrics.md": page,
    ROOT / "deploy" / "observability" / "grafana" / "user-state.json": dashboard_text,
    ROOT / "deploy" / "observability" / "prometheus" / "rules.yaml": rules_text,
}


def main() -> None:
    """Write the files."""
    for path, text in FILES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text())


if __name__ == "__main__":
    main()
