"""Multi-head retention: a recurrence with a matrix for a state, so that an event costs the same after any history.

For head h of a layer, with x_n (d,) the n-th input:

    q_n, k_n, v_n = x_n W_q, x_n W_k / sqrt(d_k), x_n W_v
    S_n = gamma_h S_(n-1) + k_n^T v_n          (d_k, d_v)
    o_n = q_n S_n                              gamma_h = 1 - 2^(-5 - h)
    y_n = concat over h of norm(o_n)  W_o      norm: by root mean square, so that the sums' scale does not matter

Three forms of one function, equal up to rounding:

    recurrent   one step an event, from a state: what serving does
    parallel    O = (Q K^T * D) V with D_nm = gamma^(n-m) for n >= m: what training does
    chunked     a state in, B events in parallel, the state after them out

It depends on order, so it is no merge of states: events go in by (event time, tie) once they can no longer be
overtaken, that is, after the lateness a team is willing to wait for; what comes later than that is left out.

Sources: Sun et al., "Retentive Network: A Successor to Transformer for Large Language Models", arXiv 2307.08621,
equations 5 to 8; used for users' states by Snap: "Universal user representations", arXiv 2403.13344. Without their
rotation of positions, gates and group norm: the cell, small enough to read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
EPSILON = 1e-6


@dataclass(frozen=True)
class Retention:
    """The weights of one layer.

    Attributes:
        query, key: (heads, d, d_k).
        value: (heads, d, d_v).
        out: (heads x d_v, d).
    """

    query: F64
    key: F64
    value: F64
    out: F64

    def __post_init__(self) -> None:
        heads, d, d_k = self.query.shape
        d_v = self.value.shape[2]
        expected = ((heads, d, d_k), (heads, d, d_v), (heads * d_v, d))
        got = (self.key.shape, self.value.shape, self.out.shape)
        if got != expected:
            raise ValueError(f"expected key, value and out of shapes {expected}, got {got}")

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return int(self.query.shape[0])

    @property
    def gamma(self) -> F64:
        """(heads,) what is left of a state after one event."""
        return retained(self.heads)

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Of a state: (heads, d_k, d_v)."""
        return self.heads, int(self.query.shape[2]), int(self.value.shape[2])

    def start(self) -> F64:
        """Return the state before the first event."""
        return np.zeros(self.state_shape)

    def step(self, state: F64, x: F64) -> tuple[F64, F64]:
        """Return (state after the event, output (d,)); `state` stays as it was.

        Args:
            state: (heads, d_k, d_v).
            x: (d,) the event.
        """
        q, k, v = self._project(x[None])
        after = self.gamma[:, None, None] * state + k[:, 0, :, None] * v[:, 0, None, :]
        read = np.einsum("hk,hkv->hv", q[:, 0], after)
        return after, self._mix(read[:, None])[0]

    def parallel(self, x: F64) -> F64:
        """Return (n, d) the outputs of a whole sequence (n, d) from the beginning."""
        return self.chunk(self.start(), x)[1]

    def chunk(self, state: F64, x: F64) -> tuple[F64, F64]:
        """Return (state after the events, outputs (n, d)) of n events (n, d) after a state."""
        q, k, v = self._project(x)
        count = len(x)
        place = np.arange(count)
        gamma = self.gamma[:, None]
        decay = np.where(
            place[:, None] >= place, self.gamma[:, None, None] ** np.maximum(place[:, None] - place, 0), 0.0
        )
        within = (np.einsum("hnk,hmk->hnm", q, k) * decay) @ v
        before = (gamma ** (place + 1))[:, :, None] * (q @ state)
        kept = gamma ** (count - 1 - place)
        after = self.gamma[:, None, None] ** count * state + np.einsum("hn,hnk,hnv->hkv", kept, k, v)
        return after, self._mix(within + before)

    def _project(self, x: F64) -> tuple[F64, F64, F64]:
        """Return q, k (heads, n, d_k) and v (heads, n, d_v) of inputs (n, d)."""
        scale = np.sqrt(self.query.shape[2])
        return x @ self.query, x @ self.key / scale, x @ self.value

    def _mix(self, read: F64) -> F64:
        """Return outputs (n, d) of what the heads have read, (heads, n, d_v)."""
        normed = read / np.sqrt((read**2).mean(axis=2, keepdims=True) + EPSILON)
        heads, count, d_v = normed.shape
        mixed: F64 = normed.transpose(1, 0, 2).reshape(count, heads * d_v) @ self.out
        return mixed


def retained(heads: int) -> F64:
    """Return (heads,) gamma: the first head forgets fastest.

    >>> retained(2).tolist()
    [0.96875, 0.984375]
    """
    return np.asarray(1 - np.exp2(-5.0 - np.arange(heads)), np.float64)
