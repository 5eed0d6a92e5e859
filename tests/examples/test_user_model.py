"""A user model: resuming from stored bytes equals running the whole sequence; files that are none are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples.sequence_models.retention import Retention
from examples.sequence_models.state_bytes import decode_state, encode_state
from examples.sequence_models.user_model import UserModel
from user_state.errors import CodecError, InputError

ITEMS = [f"i{n}" for n in range(12)]
D, HEADS = 8, 2


def model(layers: int = 2) -> UserModel:
    rng = np.random.default_rng(4)
    shapes = ((HEADS, D, 4), (HEADS, D, 4), (HEADS, D, 5), (HEADS * 5, D))
    made = [Retention(*(rng.normal(size=shape) * 0.5 for shape in shapes)) for _ in range(layers)]
    return UserModel(ITEMS, rng.normal(size=(len(ITEMS) + 1, D)), made)


items = st.lists(st.sampled_from([*ITEMS, "never seen"]), min_size=1, max_size=60)


@settings(deadline=None, max_examples=40)
@given(items, st.integers(1, 9))
def test_resuming_from_stored_bytes_equals_the_whole_sequence(done: list[str], size: int) -> None:
    one = model()
    whole = one.update(one.start(), done)
    stored = encode_state(one.start())
    for begin in range(0, len(done), size):
        stored = encode_state(one.update(decode_state(one, stored), done[begin : begin + size]))
    resumed = decode_state(one, stored)
    assert resumed.events == whole.events == len(done)
    # Each time it is stored a state is rounded to single precision.
    np.testing.assert_allclose(resumed.vector, whole.vector, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(one.scores(resumed), one.scores(whole), rtol=2e-3, atol=2e-3)
    for held, expected in zip(resumed.layers, whole.layers, strict=True):
        np.testing.assert_allclose(held, expected, rtol=1e-4, atol=1e-4)


def test_a_round_trip_keeps_what_single_precision_keeps() -> None:
    one = model()
    state = one.update(one.start(), ["i1", "i2", "i1"])
    data = encode_state(state)
    assert len(data) == 5 + 4 * (D + 2 * HEADS * 4 * 5)
    assert encode_state(decode_state(one, data)) == data


def test_the_state_of_nothing_scores_nothing() -> None:
    one = model()
    assert one.update(one.start(), []).events == 0
    assert (one.scores(one.start()) == 0).all()
    assert np.abs(one.scores(one.update(one.start(), ["i1"]))).max() > 0.1


@settings(deadline=None)
@given(st.binary(max_size=700))
def test_any_bytes_give_a_state_or_the_one_error(data: bytes) -> None:
    one = model()
    try:
        state = decode_state(one, data)
    except CodecError:
        return
    assert len(encode_state(state)) == len(data)


def test_bytes_of_another_model_or_without_sense_are_refused() -> None:
    one = model()
    data = encode_state(one.update(one.start(), ["i1"]))
    with pytest.raises(CodecError, match="expected a state of"):
        decode_state(model(layers=1), data)
    with pytest.raises(CodecError, match="finite"):
        decode_state(one, data[:-4] + np.float32("nan").tobytes())


def test_weights_through_a_file(tmp_path: Path) -> None:
    one = model()
    one.save(tmp_path / "weights.npz")
    read = UserModel.load(tmp_path / "weights.npz")
    assert read.items == one.items
    for state in (["i1", "i5"], ["never seen"]):
        there, here = (m.scores(m.update(m.start(), state)) for m in (read, one))
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)


def without(path: Path, name: str | None = None, **changed: np.ndarray) -> Path:
    with np.load(path) as file:
        held = {key: file[key] for key in file.files if key != name}
    np.savez(path, **(held | changed))
    return path


def test_files_that_are_no_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    with pytest.raises(InputError, match="cannot read"):
        UserModel.load(path)
    path.write_bytes(b"no weights")
    with pytest.raises(InputError, match="expected a file of weights"):
        UserModel.load(path)
    model().save(path)
    with pytest.raises(InputError, match=r"expected an array 1\.key"):
        UserModel.load(without(path, "1.key"))
    model().save(path)
    with pytest.raises(InputError, match="expected finite numbers in embedding"):
        UserModel.load(without(path, embedding=np.full((13, D), np.nan)))
    model().save(path)
    with pytest.raises(InputError, match="do not go together"):
        UserModel.load(without(path, embedding=np.zeros((7, D))))
    model().save(path)
    with pytest.raises(InputError, match="expected weights of version 1"):
        UserModel.load(without(path, version=np.int64(2)))
    with pytest.raises(InputError, match="cannot write"):
        model().save(tmp_path / "no such folder" / "weights.npz")
