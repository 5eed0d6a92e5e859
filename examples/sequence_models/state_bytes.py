"""A model's user state <-> bytes, for whoever keeps it.

    u1 format, 1
    u4 events seen
    f4 x d                      the user vector
    f4 x heads x d_k x d_v      a layer after the other; the shapes are the model's

All little-endian. Storing in float32 rounds a state by 6e-8 of itself, and each event decays what was rounded before.
"""

from __future__ import annotations

import struct

import numpy as np

from examples.sequence_models.user_model import UserModel, UserState
from user_state.errors import CodecError

FORMAT = 1
_HEAD = struct.Struct("<BI")


def encode_state(state: UserState) -> bytes:
    """Return a state as bytes."""
    parts = [state.vector, *state.layers]
    return _HEAD.pack(FORMAT, state.events) + b"".join(part.astype("<f4").tobytes() for part in parts)


def decode_state(model: UserModel, data: bytes) -> UserState:
    """Return the state in `data`, of that model.

    Raises:
        CodecError: it is none, or of a model of other shapes.
    """
    shapes = [(model.embedding.shape[1],), *(layer.state_shape for layer in model.layers)]
    sizes = [int(np.prod(shape)) for shape in shapes]
    expected = _HEAD.size + 4 * sum(sizes)
    if len(data) != expected or data[0] != FORMAT:
        raise CodecError(f"expected a state of {expected} bytes beginning with {FORMAT}, got {len(data)} bytes")
    numbers = np.frombuffer(data, "<f4", offset=_HEAD.size).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise CodecError("expected finite numbers in a state, got some that are not")
    vector, *layers = (
        part.reshape(shape) for part, shape in zip(np.split(numbers, np.cumsum(sizes)[:-1]), shapes, strict=True)
    )
    return UserState(tuple(layers), vector, _HEAD.unpack_from(data)[1])
