"""Trains a small retention model on a log, and says what it is worth on the log's end.

    pip install -r examples/sequence_models/requirements.txt
    python -m examples.sequence_models.train --input ml-100k.inter --value-column rating --min-value 4 --output w.npz

The first nine tenths of the interactions, by time, are trained on: each user's items in order, cut into pieces of
`--length`, each to tell the next one (cross entropy over all items). The last tenth is then gone through as it
happened, test then learn, by `UserModel` on stored states, beside popularity. A teaching example of a minute: no tuned
model, and far from what a real one would be trained on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad

from examples.sequence_models.retention import EPSILON, Retention, retained
from examples.sequence_models.user_model import UserModel
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.log_files import Reading, read_interactions
from user_state.evaluation.results import Quality
from user_state.evaluation.scoring import mean_rank
from user_state.events.convert import Columns

Weights = dict[str, Any]
TRAINED_ON = 0.9
PARTS = ("query", "key", "value", "out")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, test, and write the weights."""
    parser = argparse.ArgumentParser(description="Train a retention model of users.")
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--value-column")
    parser.add_argument("--min-value", type=float)
    parser.add_argument("--dimensions", type=int, default=32)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    log = read_interactions(given.input, Reading(columns=Columns(value=given.value_column), min_value=given.min_value))
    until = int(TRAINED_ON * len(log))
    began = time.monotonic()
    weights = start_weights(len(log.items), given.dimensions, given.heads, given.layers, given.seed)
    pieces = pieces_of(log, until, given.length)
    for step, loss in enumerate(trained(weights, pieces, given.steps, given.seed)):
        if step % 50 == 0:
            print(f"step {step:4}  loss {loss:.3f}  {time.monotonic() - began:.0f} s")
    model = model_of(weights, log.items)
    model.save(given.output)
    print(f"wrote {given.output}: {Path(given.output).stat().st_size / 1e6:.1f} MB")
    ours, popular = tested(UserModel.load(given.output), log, until)
    print(
        f"last {len(log) - until:,} interactions, items new to their user: MRR {ours.mrr:.4f}, R@10 {ours.recall:.3f}"
    )
    print(f"popularity:                                           MRR {popular.mrr:.4f}, R@10 {popular.recall:.3f}")


def start_weights(items: int, d: int, heads: int, layers: int, seed: int) -> Weights:
    """Return random weights; `out` begins at zero, so that a layer begins as nothing."""
    rng = np.random.default_rng(seed)
    d_k, d_v = d // heads, 2 * d // heads
    weights: Weights = {"embedding": rng.normal(0, d**-0.5, (items + 1, d))}
    for layer in range(layers):
        for part, width in (("query", d_k), ("key", d_k), ("value", d_v)):
            weights[f"{layer}.{part}"] = rng.normal(0, d**-0.5, (heads, d, width))
        weights[f"{layer}.out"] = np.zeros((heads * d_v, d))
    return weights


def forward(weights: Weights, items: Any) -> Any:
    """Return (batch, length, d) user vectors after each of (batch, length) items: the parallel form, for autograd."""
    x = weights["embedding"][items]
    length = items.shape[1]
    place = np.arange(length)
    layers = sum(name.endswith(".query") for name in weights)
    for layer in range(layers):
        query, key, value, out = (weights[f"{layer}.{part}"] for part in PARTS)
        heads, _, d_k = query.shape
        apart = place[:, None] - place
        decay = np.where(apart >= 0, retained(heads)[:, None, None] ** np.maximum(apart, 0), 0.0)
        normed = norm(x)
        q = anp.einsum("bnd,hdk->bhnk", normed, query)
        k = anp.einsum("bnd,hdk->bhnk", normed, key) / np.sqrt(d_k)
        v = anp.einsum("bnd,hdv->bhnv", normed, value)
        read = anp.matmul(anp.matmul(q, anp.swapaxes(k, 2, 3)) * decay, v)
        read = anp.transpose(norm(read), (0, 2, 1, 3)).reshape((*items.shape, -1))
        x = x + anp.matmul(read, out)
    return norm(x)


def norm(x: Any) -> Any:
    """Return x over its root mean square."""
    return x / anp.sqrt(anp.mean(x**2, axis=-1, keepdims=True) + EPSILON)


def loss_of(weights: Weights, items: Any, following: Any, counted: Any) -> Any:
    """Return the cross entropy of the items that follow, where `counted`."""
    scores = anp.matmul(forward(weights, items), weights["embedding"][:-1].T)
    top = anp.max(scores, axis=-1, keepdims=True)
    shares = scores - top - anp.log(anp.sum(anp.exp(scores - top), axis=-1, keepdims=True))
    batch, length = items.shape
    said = shares[np.arange(batch)[:, None], np.arange(length), following]
    return -anp.sum(said * counted) / np.sum(counted)


def pieces_of(log: Interactions, until: int, length: int) -> np.ndarray:
    """Return (pieces, length + 1) items of the log's first interactions, user by user; -1 where there is none."""
    pieces = []
    for user in range(len(log.users)):
        mine = log.item[:until][log.user[:until] == user]
        for begin in range(0, max(len(mine) - 1, 0), length):
            piece = mine[begin : begin + length + 1]
            pieces.append(np.pad(piece, (0, length + 1 - len(piece)), constant_values=-1))
    return np.array(pieces)


def trained(weights: Weights, pieces: np.ndarray, steps: int, seed: int, rate: float = 0.01) -> Iterator[float]:
    """Train in place by Adam (Kingma, Ba, ICLR 2015); yield the loss before each step."""
    rng = np.random.default_rng(seed)
    slope = grad(loss_of)
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    for step in range(1, steps + 1):
        batch = pieces[rng.choice(len(pieces), min(32, len(pieces)), replace=False)]
        items, following = np.maximum(batch[:, :-1], 0), np.maximum(batch[:, 1:], 0)
        counted = (batch[:, 1:] >= 0).astype(float)
        yield float(loss_of(weights, items, following, counted))
        for name, value in slope(weights, items, following, counted).items():
            first[name] = 0.9 * first[name] + 0.1 * value
            second[name] = 0.999 * second[name] + 0.001 * value**2
            ahead = first[name] / (1 - 0.9**step)
            weights[name] = weights[name] - rate * ahead / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)


def model_of(weights: Weights, items: Sequence[str]) -> UserModel:
    """Return the model with these weights."""
    layers = sum(name.endswith(".query") for name in weights)
    parts = [Retention(*(weights[f"{layer}.{part}"] for part in PARTS)) for layer in range(layers)]
    return UserModel(items, weights["embedding"], parts)


def tested(model: UserModel, log: Interactions, begin: int) -> tuple[Quality, Quality]:
    """Return figures of the model and of popularity over the log from `begin` on, test then learn."""
    states: dict[int, Any] = {}
    met: dict[int, set[int]] = {}
    popular = np.zeros(len(log.items))
    ours, baseline = [], []
    for at, (user, item) in enumerate(zip(log.user.tolist(), log.item.tolist(), strict=True)):
        seen = met.setdefault(user, set())
        state = states.get(user) or model.start()
        if at >= begin and item not in seen:
            unmet = np.ones(len(log.items), np.bool_)
            unmet[list(seen)] = False
            ours.append(mean_rank(model.scores(state), item, unmet))
            baseline.append(mean_rank(popular, item, unmet))
        states[user] = model.update(state, [log.items[item]])
        seen.add(item)
        popular[item] += 1
    return Quality.of(np.array(ours)), Quality.of(np.array(baseline))


if __name__ == "__main__":
    main()
