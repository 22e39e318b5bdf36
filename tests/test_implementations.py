"""The table of implementations."""

import numpy as np
import pytest

from jitloss.implementations import IMPLEMENTATIONS, choose, deliver, kernel_input
from problems import IMPLEMENTATIONS as NAMES


def test_the_table_lists_what_the_tests_run():
    """A new row is not left untested."""
    assert tuple(IMPLEMENTATIONS) == NAMES
    assert all(row.name == name and row.says for name, row in IMPLEMENTATIONS.items())


def test_auto_is_the_compiled_loops():
    class Problem:
        n_threads = 2

    assert choose("auto", Problem) is IMPLEMENTATIONS["jit"]


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3)), np.zeros((2, 3), ">f8"), np.zeros((2, 3), order="F"), np.zeros((2, 3), "u1")]
)
def test_kernels_see_one_array_type(array):
    """C-contiguous, native, aligned, read-only; a copy only where needed; the caller may write to theirs as before."""
    view = kernel_input(array, np.dtype(np.float64))
    assert view.dtype == np.float64
    assert view.flags.c_contiguous
    assert not view.flags.writeable
    assert array.flags.writeable
    assert np.shares_memory(view, array) == (array.dtype == np.float64 and array.flags.c_contiguous)


def test_deliver_returns_the_callers_array():
    gradient, out = np.ones(3), np.zeros(3)
    assert deliver(gradient, None) is gradient
    assert deliver(gradient, out) is out
    assert out.tolist() == [1, 1, 1]
