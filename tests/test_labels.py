"""Labels and weights taken by compiled code: what is right is copied, what is not is left to others."""

import numpy as np
import pytest

from jitloss_kernels import labels

N_CLASSES = 3


def take(y, given=(), ignored=None):
    """What ``labels.take`` returns and writes, for three classes."""
    y, given = np.array(y, np.int64), np.array(given, np.float64)
    own, weights = np.full(len(y), 99), np.full(len(y), np.nan)
    where = labels.take.serial(y, given, ignored is not None, ignored or 0, N_CLASSES, own, weights)
    return where, own, weights


@pytest.mark.parametrize(
    ("y", "given", "ignored", "own", "weights"),
    [
        ([0, 2, 1], [], None, [0, 2, 1], [1, 1, 1]),
        ([0, 2, 1], [0.5, 0, 1e279], None, [0, 2, 1], [0.5, 0, 1e279]),
        ([0, -1, 7], [], -1, None, None),
        ([0, -1, 2], [], -1, [0, 0, 2], [1, 0, 1]),
        ([0, 2, 0], [0.5, 2, 3], 0, [0, 2, 0], [0, 2, 0]),
        ([-(1 << 63), 2], [1, 1], -(1 << 63), [0, 2], [0, 1]),
        ([-(1 << 63)], [], None, None, None),
        ([3], [], None, None, None),
        ([-1], [], None, None, None),
        ([1, 1], [1, -1e-300], None, None, None),
        ([1, 1], [1, np.nan], None, None, None),
        ([1, 1], [1, 1e280], None, None, None),
        ([1, 1], [np.inf, 1], None, None, None),
        ([1, 2], [np.nan, 1], 1, None, None),  # what is ignored is looked at, too
    ],
)
def test_take(y, given, ignored, own, weights):
    where, labels_found, weights_found = take(y, given, ignored)
    if own is None:
        assert where == 0
    else:
        assert where == weights_found.ctypes.data
        assert labels_found.tolist() == own
        assert weights_found.tolist() == weights


def test_what_it_returns_is_a_whole_number():
    """numba would make a float64 of an address and a 0: exact below 2**53 alone."""
    assert isinstance(take([1])[0], int | np.integer)
