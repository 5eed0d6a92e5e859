"""Every scorer, asked at every prefix of a small log, says what the plainest computation over that prefix says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.logs import log_of, random_log
from user_state.durations import SECOND_US
from user_state.embeddings.cooccurrence import Fit, fit_vectors
from user_state.errors import InputError
from user_state.evaluation.catalogue import SCORERS
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.edgebank import EdgeBank
from user_state.evaluation.scorers.ials import Ials
from user_state.evaluation.scorers.isgd import Isgd
from user_state.evaluation.scorers.item_knn import ItemKnn
from user_state.evaluation.scorers.mixture import Mixture
from user_state.evaluation.scorers.popularity import TIE_BREAK, Popularity
from user_state.evaluation.scorers.projection import Projection
from user_state.evaluation.scorers.recent_counts import ReferenceCounts
from user_state.evaluation.scorers.recent_items import RecentItems
from user_state.evaluation.scorers.table_mean import TableMean
from user_state.evaluation.scorers.transitions import Transitions
from user_state.evaluation.scoring import Scorer, measure
from user_state.evaluation.trials import prequential, tgb

MINUTE_US = 60 * SECOND_US


def at_every_prefix(log: Interactions, scorer: Scorer, expected: Callable[[int, int], F64], **tolerance: float) -> None:
    """Ask for each position's user before it is learnt, and compare with `expected(position, user)`."""
    for position in range(len(log)):
        user = int(log.user[position])
        said = scorer.scores(user, int(log.time_us[position]))
        np.testing.assert_allclose(said, expected(position, user), **{"rtol": 1e-9, "atol": 1e-12, **tolerance})
        scorer.learn(position, position + 1)


def items_of(log: Interactions, position: int, user: int) -> list[int]:
    return [int(log.item[p]) for p in range(position) if log.user[p] == user]


def popular(log: Interactions, position: int, half_life: float) -> F64:
    """Decayed counts as seen at the newest interaction."""
    counts = np.zeros(len(log.items))
    for p in range(position):
        counts[log.item[p]] += 2.0 ** -((position - 1 - p) / half_life)
    return counts


def proportions(values: F64) -> F64:
    return values / values.sum() if values.sum() else values


@pytest.mark.parametrize("half_life", [3.0, 5000.0])
def test_popularity(half_life: float) -> None:
    log = random_log(1, events=80)
    scorer = Popularity(log, half_life_events=half_life)
    for position in range(len(log)):
        expected = popular(log, position, half_life)
        np.testing.assert_allclose(proportions(scorer.scores(0, 0)), proportions(expected), rtol=1e-9)
        np.testing.assert_allclose(scorer.share(3), proportions(expected)[3], rtol=1e-9)
        scorer.learn(position, position + 1)


def test_popularity_lives_through_its_own_growth() -> None:
    log = random_log(2, events=3000)
    scorer = Popularity(log, half_life_events=1.0)
    scorer.learn(0, len(log))
    np.testing.assert_allclose(proportions(scorer.scores(0, 0)), proportions(popular(log, len(log), 1.0)), rtol=1e-9)
    assert scorer.share(int(log.item[-1])) == pytest.approx(proportions(popular(log, len(log), 1.0))[log.item[-1]])


def test_edgebank() -> None:
    log = random_log(3)

    def expected(position: int, user: int) -> F64:
        met = set(items_of(log, position, user))
        return np.array([float(item in met) for item in range(len(log.items))])

    at_every_prefix(log, EdgeBank(log), expected)


@pytest.mark.parametrize(("last", "fade"), [(1, 0.8), (3, 0.5)])
def test_transitions(last: int, fade: float) -> None:
    log = random_log(4, events=150)

    def expected(position: int, user: int) -> F64:
        counts = np.zeros((len(log.items), len(log.items)))
        for someone in range(len(log.users)):
            did = items_of(log, position, someone)
            for here, item in enumerate(did):
                for back in range(1, min(last, here) + 1):
                    counts[did[here - back], item] += fade ** (back - 1)
        scores = proportions(popular(log, position, 5000)) * TIE_BREAK
        for back, item in enumerate(items_of(log, position, user)[::-1][:last]):
            scores = scores + fade**back * counts[item]
        return scores

    at_every_prefix(log, Transitions(log, last=last, fade=fade), expected)


@pytest.mark.parametrize("reach", [0, 2])
def test_item_knn(reach: int) -> None:
    log = random_log(5, events=120)

    def distinct(position: int, user: int) -> list[int]:
        return list(dict.fromkeys(items_of(log, position, user)))

    def expected(position: int, user: int) -> F64:
        items = len(log.items)
        both, chose = np.zeros((items, items)), np.zeros(items)
        for someone in range(len(log.users)):
            chosen = distinct(position, someone)
            for i, one in enumerate(chosen):
                chose[one] += 1
                for j, other in enumerate(chosen):
                    if i != j and (reach == 0 or abs(i - j) <= reach):
                        both[one, other] += 1 if reach == 0 else 0.9 ** (abs(i - j) - 1)
        scores = np.zeros(items)
        mine = distinct(position, user)[::-1]
        for back, i in enumerate(mine[:reach] if reach else mine):
            for j in range(items):
                weight = 0.84**back if reach else 1.0
                scores[j] += weight * both[i, j] / np.sqrt(max(chose[i], 1) * max(chose[j], 1))
        return scores

    at_every_prefix(log, ItemKnn(log, reach=reach), expected)


def decayed(log: Interactions, position: int, user: int, at_us: int, half_life_us: float) -> F64:
    counts = np.zeros(len(log.items))
    for p in range(position):
        if log.user[p] == user:
            counts[log.item[p]] += 2.0 ** -((at_us - int(log.time_us[p])) / half_life_us)
    return counts


def test_recent_counts_of_all_items() -> None:
    log = random_log(6)
    half_lives = np.array([MINUTE_US, 10 * MINUTE_US])
    counts = ReferenceCounts(log, half_lives)
    for position in range(len(log)):
        user, at_us = int(log.user[position]), int(log.time_us[position]) + 7 * SECOND_US
        items, held = counts.read(user, at_us)
        assert len(set(items.tolist())) == len(items)
        for column, half_life_us in enumerate(half_lives.tolist()):
            grid = np.zeros(len(log.items))
            grid[items] = held[:, column]
            expected = proportions(decayed(log, position, user, at_us, half_life_us))
            np.testing.assert_allclose(proportions(grid), expected, rtol=1e-9)
        counts.learn(position, position + 1)


def test_shares_outlive_a_pause_after_which_the_counts_themselves_are_nothing() -> None:
    """2^-(a year / a minute) is no number, but which of two items had more is still known."""
    log = log_of(("u", "tea", 0), ("u", "tea", 1), ("u", "jam", 2))
    scorer = RecentItems(log, half_lives="1m", popular=False)
    scorer.learn(0, 3)
    after_a_year = scorer.scores(0, int(log.time_us[-1]) + 365 * 86_400 * SECOND_US)
    np.testing.assert_allclose(after_a_year, scorer.scores(0, int(log.time_us[-1])))
    assert after_a_year[log.items.index("tea")] > after_a_year[log.items.index("jam")] > 0


def test_recent_counts_keep_no_more_than_they_may_and_what_is_heavy_and_the_newest() -> None:
    log = log_of(*[("u", "tea", n) for n in range(5)], ("u", "jam", 5), ("u", "rye", 6))
    counts = ReferenceCounts(log, np.array([MINUTE_US]), keep=2)
    counts.learn(0, len(log))
    items, _ = counts.read(0, int(log.time_us[-1]))
    assert [log.items[item] for item in items] == ["tea", "rye"]


def test_recent_items() -> None:
    log = random_log(7)

    def expected(position: int, user: int) -> F64:
        at_us = int(log.time_us[position])
        shares = [proportions(decayed(log, position, user, at_us, h * MINUTE_US)) for h in (1, 10)]
        return sum(shares) + TIE_BREAK * proportions(popular(log, position, 500))

    at_every_prefix(log, RecentItems(log, half_lives="1m+10m"), expected)


def test_counts_from_elsewhere_serve_recent_items_mixture_and_table() -> None:
    """A record kind takes the reference's place by having its two methods."""
    log = random_log(8)

    class Elsewhere(ReferenceCounts):
        def learn(self, begin: int, end: int) -> None:
            self.told = end
            super().learn(begin, end)

    for made in (RecentItems, Mixture, TableMean):
        lives = {"half_lives": "1m+10m"} if made is not TableMean else {"half_lives": "1m+10m", "dimensions": 4}
        elsewhere = Elsewhere(log, np.array([MINUTE_US, 10 * MINUTE_US]))
        ranks = measure("elsewhere", made(log, counts=elsewhere, **lives), tgb(log))
        np.testing.assert_array_equal(measure("own", made(log, **lives), tgb(log)), ranks)
        assert elsewhere.told > 0


def test_the_mixture_is_a_probability_and_its_weights_follow_the_expert_that_is_right() -> None:
    """One of two experts is told apart: whoever alternates is told by habit, not by the last minutes' counts."""
    log = log_of(*[(f"u{n % 3}", f"i{n // 3 % 2}{n % 3}", n * 100) for n in range(900)])
    scorer = Mixture(log, half_lives="1h", popular="50", rate=0.05)
    for position in range(len(log)):
        scores = scorer.scores(int(log.user[position]), int(log.time_us[position]))
        assert scores.min() > 0
        if position >= 3:  # before, an expert who knows nothing yet leaves its weight unspent
            assert scores.sum() <= 1 + 1e-9
        scorer.learn(position, position + 1)
    likely = scorer.scores(0, int(log.time_us[-3]) + 300 * SECOND_US)
    assert likely.sum() == pytest.approx(1)
    last = int(log.item[-3])
    (other,) = set(log.item[log.user == 0].tolist()) - {last}
    assert likely[other] > 0.9


def test_one_step_of_the_mixture_is_the_formula() -> None:
    log = log_of(("u", "tea", 0), ("u", "tea", 10), catalogue=("jam", "tea"))
    scorer = Mixture(log, half_lives="1m", popular="50", rate=0.1)
    experts = 5  # one half-life, habit, followers, one popularity, chance
    scorer.learn(0, 1)
    # Before anything, only chance says something: half each.
    new_user = np.full(experts, 0.9 / experts)
    new_user[-1] += 0.1
    np.testing.assert_allclose(scorer.scores(1, 0)[0], new_user[-1] / 2)  # jam: chance alone knows it
    scorer.learn(1, 2)
    # Ten seconds later personal and popularity say tea, 1 each, and chance a half: they share the credit 1 : 1 : 1/2.
    weights = np.array([0.9 / 5 + 0.1 * 1 / 2.5, 0.9 / 5, 0.9 / 5, 0.9 / 5 + 0.1 * 1 / 2.5, 0.9 / 5 + 0.1 * 0.5 / 2.5])
    tea, jam = (log.items.index(name) for name in ("tea", "jam"))
    after = scorer.scores(0, int(log.time_us[1]) + 10 * SECOND_US)
    np.testing.assert_allclose(after[jam], weights[4] / 2)
    np.testing.assert_allclose(after[tea], weights[0] + weights[1] + weights[3] + weights[4] / 2)


def test_isgd_takes_the_steps_of_the_paper() -> None:
    log = random_log(9, events=60)
    scorer = Isgd(log, factors=3, seed=4)
    rng = np.random.default_rng(4)
    q = rng.normal(0, 0.1, (len(log.items), 3))
    p: dict[int, F64] = {}
    for user in dict.fromkeys(log.user.tolist()):
        p[user] = rng.normal(0, 0.1, 3)

    def expected(position: int, user: int) -> F64:
        if position:
            u, i = int(log.user[position - 1]), int(log.item[position - 1])
            error = 1 - p[u] @ q[i]
            p[u] = p[u] + 0.05 * (error * q[i] - 0.01 * p[u])
            q[i] = q[i] + 0.05 * (error * p[u] - 0.01 * q[i])
        return q @ p[user]

    at_every_prefix(log, scorer, expected)


def test_ials_folds_a_user_in_by_least_squares_over_all_items() -> None:
    """The solution is where the weighted squared error, written out item by item, has no slope."""
    log = random_log(10)
    scorer = Ials(log, factors=3, every=100, sweeps=2, alpha0=0.2, decay=0.01)
    scorer.learn(0, 250)
    q = scorer._item_vectors
    assert q is not None
    user = 0
    mine = set(items_of(log, 250, user))
    folded = np.linalg.lstsq(q, scorer.scores(user, 0), rcond=None)[0]
    slope = 0.01 * (len(mine) + 0.2 * len(q)) * folded
    for item in range(len(q)):
        slope = slope + 0.2 * (q[item] @ folded) * q[item]
        if item in mine:
            slope = slope + (q[item] @ folded - 1) * q[item]
    np.testing.assert_allclose(slope, 0, atol=1e-9)


def test_projection_learns_the_cooccurrences_of_the_window() -> None:
    """With as many random dimensions as make ids orthogonal, c_i . r_j is C_ij."""
    log = log_of(("a", "tea", 0), ("a", "jam", 1), ("b", "tea", 2), ("b", "jam", 3), ("b", "rye", 4))
    scorer = Projection(log, dimensions=100_000, reach=2, fade=0.5, damp=0.0)
    scorer.learn(0, len(log))
    said = scorer._learnt @ scorer._random.T
    jam, rye, tea = (log.items.index(name) for name in ("jam", "rye", "tea"))
    expected = np.zeros((3, 3))
    for one, other, weight in ((tea, jam, 2.0), (jam, rye, 1.0), (tea, rye, 0.5)):
        expected[one, other] = expected[other, one] = weight
    np.testing.assert_allclose(said, expected, atol=0.05)


def test_table_mean_uses_a_table_of_what_came_before_and_of_nothing_else() -> None:
    log = random_log(11)
    scorer = TableMean(log, half_lives="1m", dimensions=4, every=100)
    # Fitted at 100, then when the log has grown by half, at 151, then 76 later, at 227, and every 100 from there on.
    for learnt, of in {100: 100, 150: 100, 151: 151, 260: 227}.items():
        fresh = TableMean(log, half_lives="1m", dimensions=4, every=100)
        fresh.learn(0, learnt)
        vectors = fit_vectors(log.user[:of], log.item[:of], len(log.items), Fit(dimensions=4))
        at_us = int(log.time_us[learnt])
        share = proportions(decayed(log, learnt, 0, at_us, MINUTE_US))
        np.testing.assert_allclose(fresh.scores(0, at_us), vectors @ (share @ vectors), rtol=1e-6, atol=1e-12)
    scorer.learn(0, 99)
    at_us = int(log.time_us[99])
    np.testing.assert_array_equal(scorer.scores(0, at_us), scorer._popularity.scores(0, at_us))


@pytest.mark.parametrize("name", SCORERS)
def test_a_users_first_question_and_an_empty_past_have_finite_answers(name: str) -> None:
    log = log_of(("u", "tea", 1), ("v", "jam", 2), ("v", "tea", 3))
    settings = {"table": {"dimensions": 2, "every": 1}, "ials": {"factors": 2, "every": 1}}.get(name, {})
    assert np.isfinite(measure(name, SCORERS[name](log, **settings), prequential(log))).all()


@pytest.mark.parametrize("name", sorted(SCORERS.keys() - {"chance"}))
def test_learning_in_one_go_or_one_by_one_is_the_same(name: str) -> None:
    log = random_log(12)
    settings = {
        "table": {"dimensions": 3, "every": 40},
        "ials": {"factors": 3, "every": 40},
        # Beyond its reach, what is learned of events of one time depends on which of them arrives first.
        "learned": {"reach": 200},
    }.get(name, {})
    at_once, one_by_one = SCORERS[name](log, **settings), SCORERS[name](log, **settings)
    at_once.learn(0, 200)
    for position in range(200):
        one_by_one.learn(position, position + 1)
    at_us = int(log.time_us[200])
    np.testing.assert_allclose(at_once.scores(1, at_us), one_by_one.scores(1, at_us), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda log: Popularity(log, half_life_events=0), "half_life_events above 0"),
        (lambda log: Transitions(log, last=0), "at least 1 item"),
        (lambda log: ItemKnn(log, reach=-1), "reach of at least 0"),
        (lambda log: RecentItems(log, keep=-1), "keep some items"),
        (lambda log: RecentItems(log, half_lives="soon"), "durations such as"),
        (lambda log: Mixture(log, rate=1.0), "rate between 0 and 1"),
        (lambda log: Mixture(log, popular="0"), "positive numbers"),
        (lambda log: Projection(log, dimensions=0), "dimensions and reach"),
        (lambda log: TableMean(log, every=0), "every 1 interaction"),
        (lambda log: SCORERS["sketch_reference"](log, storage="float8"), "float32, float16"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[Interactions], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(random_log(0, events=5))


def test_dense_methods_refuse_a_catalogue_they_have_no_room_for() -> None:
    log = log_of(("u", "tea", 1), catalogue=tuple(f"i{n}" for n in range(20_001)))
    with pytest.raises(InputError, match=r"at most 20,000 items for transitions.*here has 20,002"):
        Transitions(log)
