"""The three forms of retention are one function: a plain loop over scalars says which."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.sequence_models.retention import EPSILON, Retention, retained

D, HEADS, D_K, D_V = 6, 3, 2, 4


def layer(seed: int = 0) -> Retention:
    rng = np.random.default_rng(seed)
    shapes = ((HEADS, D, D_K), (HEADS, D, D_K), (HEADS, D, D_V), (HEADS * D_V, D))
    return Retention(*(rng.normal(size=shape) for shape in shapes))


def by_hand(one: Retention, x: np.ndarray) -> np.ndarray:
    """Return the outputs by the definition: every earlier event's k and v, weighed by gamma to the distance."""
    outputs = []
    for n in range(len(x)):
        read = []
        for head in range(HEADS):
            gamma = 1 - 2 ** -(5 + head)
            q = x[n] @ one.query[head]
            o = np.zeros(D_V)
            for m in range(n + 1):
                k = x[m] @ one.key[head] / np.sqrt(D_K)
                o += gamma ** (n - m) * (q @ k) * (x[m] @ one.value[head])
            read += list(o / np.sqrt(np.mean(o**2) + EPSILON))
        outputs.append(np.array(read) @ one.out)
    return np.array(outputs)


def test_the_parallel_form_is_the_definition() -> None:
    x = np.random.default_rng(1).normal(size=(40, D))
    np.testing.assert_allclose(layer().parallel(x), by_hand(layer(), x), rtol=1e-9, atol=1e-9)


def test_the_recurrent_form_is_the_parallel_form_at_every_prefix() -> None:
    x = np.random.default_rng(2).normal(size=(60, D))
    one, state = layer(), layer().start()
    whole = one.parallel(x)
    for n in range(len(x)):
        state, out = one.step(state, x[n])
        np.testing.assert_allclose(out, whole[n], rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 17), min_size=1, max_size=8), st.integers(0, 1000))
def test_any_chunks_give_the_outputs_and_the_state_of_single_steps(sizes: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(sum(sizes), D))
    one, state, outs = layer(seed), layer().start(), []
    for part in np.split(x, np.cumsum(sizes)[:-1]):
        state, out = one.chunk(state, part)
        outs.append(out)
    stepped = one.start()
    for event in x:
        stepped, _ = one.step(stepped, event)
    np.testing.assert_allclose(np.concatenate(outs), one.parallel(x), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(state, stepped, rtol=1e-8, atol=1e-9)


def test_states_are_not_changed_in_place() -> None:
    one, x = layer(), np.ones((3, D))
    state = one.chunk(one.start(), x)[0]
    before = state.copy()
    one.step(state, x[0])
    one.chunk(state, x)
    assert (state == before).all()


def test_order_matters() -> None:
    x = np.random.default_rng(3).normal(size=(5, D))
    there, back = layer().chunk(layer().start(), x)[0], layer().chunk(layer().start(), x[::-1])[0]
    assert np.abs(there - back).max() > 1e-3


def test_a_state_forgets_at_the_rate_of_its_head() -> None:
    one = layer()
    state = one.step(one.start(), np.ones(D))[0]
    after = one.step(state, np.zeros(D))[0]
    np.testing.assert_allclose(after, retained(HEADS)[:, None, None] * state)
    assert retained(4).tolist() == [1 - 1 / 32, 1 - 1 / 64, 1 - 1 / 128, 1 - 1 / 256]


def test_shapes_that_do_not_go_together_are_refused() -> None:
    one = layer()
    with pytest.raises(ValueError, match="expected key, value and out of shapes"):
        Retention(one.query, one.value, one.value, one.out)
