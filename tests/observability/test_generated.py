"""Dashboard, rules, runbook and code say the same as the list of metrics, and leave nothing out."""

import ast
import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from beam_pipelines.observability.alerts import ALERTS
from beam_pipelines.observability.grafana import dashboard
from beam_pipelines.observability.prometheus import EXPORTED, rules
from transforms import counters
from transforms.metrics import METRICS

ROOT = Path(__file__).parents[2]


def _generator():
    found = spec_from_file_location("generate_metrics", ROOT / "docs" / "generate_metrics.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


GENERATED = _generator().FILES
RECORDED = {rule["record"] for rule in rules()["groups"][0]["rules"]}
EXPRESSIONS = [alert.expression for alert in ALERTS] + [
    target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])
]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_what_is_generated_is_up_to_date(path: Path):
    assert path.read_text() == GENERATED[path](), "run `make docs`"


def test_the_files_are_json_and_yaml_that_say_what_was_meant():
    texts = {path.name: path.read_text() for path in GENERATED}
    assert json.loads(texts["user-state.json"]) == dashboard()
    assert yaml.safe_load(texts["rules.yaml"]) == rules()


def test_alerts_and_dashboard_ask_for_what_is_recorded_and_for_all_of_it():
    asked = {name for expression in EXPRESSIONS for name in re.findall(r"user_state:[\w:]+", expression)}
    assert asked - RECORDED == set()
    assert len(asked) > 20
    # The sums and counts of histograms are there for means; not every panel shows one.
    assert {name for name in RECORDED - asked if not name.endswith(("_sum:rate", "_count:rate"))} == set()


def test_every_metric_of_the_list_is_recorded_once_and_nothing_else():
    exported = re.findall(rf"{EXPORTED}(\w+)", " ".join(rule["expr"] for rule in rules()["groups"][0]["rules"]))
    beam = [name for metric in METRICS for kind, name in metric.beam_names() if kind != "distribution"]
    counts = {f"{metric.name}_count" for metric in METRICS if metric.kind == "histogram"}
    # A histogram's count is its last bucket too.
    assert sorted(exported) == sorted([*beam, *counts])


def test_every_alert_has_its_section_in_the_runbook_and_the_runbook_no_other():
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sections == [alert.name for alert in ALERTS]
    assert len(set(sections)) == len(sections)


def test_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) == 23


def _counted() -> set[str]:
    """Return the names that the code counts under: constants of `counters`, and texts given to metrics."""
    names = {value for name, value in vars(counters).items() if name.isupper() and isinstance(value, str)}
    for folder in ("transforms", "beam_pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                    continue
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in ("Histogram", "gauge", "counter"):
                    names.add(str(node.args[0].value))
    return names


def test_the_list_is_what_the_code_counts_and_the_code_counts_the_list():
    listed = {metric.name for metric in METRICS if not metric.members}
    assert _counted() == listed


def test_nothing_counts_past_the_list_but_a_batch_for_its_own_accounting():
    strays = [
        str(path.relative_to(ROOT))
        for folder in ("transforms", "beam_pipelines")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"\bMetrics\.(counter|gauge|distribution)", path.read_text())
    ]
    assert strays == ["transforms/history_counts.py", "transforms/metrics.py"]
