"""A vector for anything that has a name: a unit vector drawn from the hash of its id.

Component j is +1/sqrt(D) if bit j mod 64 (least significant first) of xxh64(id as UTF-8, seed = j // 64) is set, and
-1/sqrt(D) otherwise. Two different ids' vectors are nearly orthogonal (inner product 0 +- 1/sqrt(D)), so a decayed sum
of them is a sketch of the decayed counts of every item: `v_item . S` estimates the item's. No table, no training, the
same vector in every language and process.

Source: Achlioptas, "Database-friendly random projections", JCSS 2003, for signs in place of Gaussians.
xxhash is the one thing beyond numpy that the core uses: it is a pure function.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xxhash

BITS = 64


def hashed_vectors(ids: Sequence[str], dimensions: int) -> npt.NDArray[np.float64]:
    """Return (len(ids), dimensions) unit vectors.

    >>> hashed_vectors(["a"], 4)
    array([[ 0.5,  0.5, -0.5,  0.5]])
    """
    blocks = -(-dimensions // BITS)
    words = [xxhash.xxh64_intdigest(text.encode(), seed) for text in ids for seed in range(blocks)]
    octets = np.array(words, "<u8").view(np.uint8).reshape(len(ids), blocks * 8)
    signs = np.unpackbits(octets, axis=1, bitorder="little")[:, :dimensions]
    vectors: npt.NDArray[np.float64] = (signs * 2.0 - 1.0) / np.sqrt(dimensions)
    return vectors
