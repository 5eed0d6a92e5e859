"""Which interactions are tested, and what may be known of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.logs import log_of, random_log
from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.trials import Age, aged, in_batches, prequential, tgb


@pytest.mark.parametrize("seed", range(4))
def test_parts_are_split_at_the_quantiles_of_the_times_and_follow_on_one_another(seed: int) -> None:
    log = random_log(seed)
    trial = tgb(log)
    low, high = np.quantile(log.time_us, [0.7, 0.85])
    val, test = trial.tested[trial.parts["val"]], trial.tested[trial.parts["test"]]
    np.testing.assert_array_equal(val, np.flatnonzero((log.time_us > low) & (log.time_us <= high)))
    np.testing.assert_array_equal(test, np.flatnonzero(log.time_us > high))
    assert trial.counted == "test"
    np.testing.assert_array_equal(trial.only("test").tested, test)


def test_what_happened_in_the_same_second_is_not_visible_in_tgb_but_is_in_prequential() -> None:
    times = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9]
    log = log_of(*[(f"u{n}", f"i{n}", second) for n, second in enumerate(times)])
    trial = tgb(log)
    assert dict(zip(trial.tested.tolist(), trial.visible.tolist(), strict=True)) == {8: 8, 9: 8, 10: 10, 11: 10}
    assert prequential(log).visible.tolist() == list(range(12))


def test_batches_begin_where_a_part_begins_and_see_nothing_of_themselves() -> None:
    log = random_log(3)
    trial = tgb(log)
    batched = in_batches(trial, 7)
    for part in trial.parts.values():
        tested, visible = batched.tested[part].tolist(), batched.visible[part].tolist()
        assert visible == [tested[0] + index // 7 * 7 for index in range(len(tested))]


@pytest.mark.parametrize(("text", "lag_s", "refreshed_s"), [("60s", 60, 0), ("5m", 300, 0), ("0-10s", 0, 10)])
def test_nothing_younger_than_the_age_is_visible_and_everything_older_is(
    text: str, lag_s: int, refreshed_s: int
) -> None:
    log = random_log(2)
    trial = tgb(log)
    old = aged(trial, Age.parse(text))
    for position, visible in zip(old.tested.tolist(), old.visible.tolist(), strict=True):
        read_us = int(log.time_us[position])
        if refreshed_s:
            read_us -= read_us % (refreshed_s * SECOND_US)
        assert visible == sum(time_us < read_us - lag_s * SECOND_US for time_us in log.time_us.tolist())
    assert (old.visible < trial.visible).any()


@pytest.mark.parametrize("text", ["", "soon", "-5s", "0-", "0", "10"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected an age such as 60s or 6h.*got"):
        Age.parse(text)


def test_ages_are_written_as_they_were_read() -> None:
    assert [str(Age.parse(text)) for text in ("0-10s", "60s", "24h")] == ["0-10s", "1m", "1d"]
    assert [Age.parse(text).mean_s for text in ("0-10s", "60s")] == [5, 60]


def test_a_log_too_short_to_split_is_an_error() -> None:
    with pytest.raises(InputError, match="quantiles of the times in here, got none"):
        tgb(log_of(("u", "i", 1), ("u", "i", 1)))


def test_a_log_of_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="expected interactions in here, got none"):
        log_of()


def test_visible_never_falls_and_never_reaches_the_tested() -> None:
    for seed in range(5):
        log = random_log(seed)
        for trial in (tgb(log), prequential(log), in_batches(tgb(log), 5), aged(tgb(log), Age.parse("0-1m"))):
            assert (np.diff(trial.visible) >= 0).all()
            assert (trial.visible <= trial.tested).all()
