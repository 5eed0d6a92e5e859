"""Histograms as counters: what they hold equals counting one by one."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from hypothesis import given
from hypothesis import strategies as st

from transforms import metrics
from transforms.metrics import BY_NAME, NAMESPACE, Histogram, cumulative, metric_of

EDGES = st.lists(st.integers(0, 1000), min_size=1, max_size=6, unique=True).map(sorted)


@given(st.lists(st.integers(0, 1200), max_size=50), EDGES)
def test_a_bucket_counts_every_value_that_is_no_larger_than_its_edge(values, edges):
    held = cumulative(np.array(values, np.int64), np.array(edges, np.int64))
    assert held.tolist() == [sum(value <= edge for value in values) for edge in edges]


class _ObserveFn(beam.DoFn):
    def setup(self):
        self._histogram = Histogram("rows_per_fold")

    def process(self, values):
        self._histogram.observe(values)


def test_a_histogram_reaches_the_runner_as_counters_and_a_distribution():
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        pipeline | beam.Create([[1, 5, 200], [], [-3, 1000]]) | beam.ParDo(_ObserveFn())
    query = pipeline.result.metrics().query(beam.metrics.MetricsFilter().with_namespace(NAMESPACE))
    counters = {found.key.metric.name: found.committed for found in query["counters"]}
    edges = BY_NAME["rows_per_fold"].edges
    values = [1, 5, 200, 0, 1000]
    assert counters == {
        **{f"rows_per_fold_le_{edge}": sum(value <= edge for value in values) for edge in edges},
        "rows_per_fold_count": len(values),
        "rows_per_fold_sum": sum(values),
    }
    (largest,) = query["distributions"]
    assert (largest.committed.max, largest.committed.count) == (1000, 2)


def test_a_name_that_is_not_in_the_list_is_refused_and_a_family_has_its_members():
    assert metric_of("dead_letter_too_late").name == "dead_letter_*"
    assert metric_of("dead_letter").name == "dead_letter"
    for wrong in (
        lambda: metrics.counter("rows_per_fold"),
        lambda: metrics.gauge("read"),
        lambda: Histogram("read"),
        lambda: metric_of("of my own"),
    ):
        with pytest.raises(KeyError):
            wrong()
