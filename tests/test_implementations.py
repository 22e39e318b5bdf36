"""The table of implementations."""

import numpy as np
import pytest

from jitloss import checks
from jitloss.implementations import IMPLEMENTATIONS, block_input, choose, delivered, kernel_input, supporting
from problems import IMPLEMENTATIONS as NAMES


def test_the_table_lists_what_the_tests_run():
    """A new row is not left untested."""
    assert tuple(IMPLEMENTATIONS) == NAMES
    assert all(row.name == name and row.says for name, row in IMPLEMENTATIONS.items())


class Problem:
    """What `choose` looks at."""

    n_threads, bias, options = 2, None, checks.Options("softmax")


def test_auto_is_the_fused_engine():
    assert choose("auto", Problem) is IMPLEMENTATIONS["fused"]


@pytest.mark.parametrize("option", checks.OPTIONS)
def test_the_table_says_who_has_which_option(option):
    """The textbook loops stay plain."""
    assert supporting(option) == ["numpy", "fused"]


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "?", "i2", "i8", ">f4"])
def test_the_fused_engine_reads_what_it_can_where_it_lies(dtype):
    """float32, float64, uint8 and bool are not copied, whatever their strides."""
    array = np.zeros((4, 6), dtype)[::2, ::-3]
    view = block_input(array, np.dtype(np.float32))
    np.testing.assert_array_equal(view, array)
    assert np.shares_memory(view, array) == (dtype in ("f4", "f8", "u1", "?"))


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


def test_gradients_are_delivered_to_the_callers_arrays():
    gradients, out = [np.ones(3), np.ones((2, 2))], (np.zeros(3), np.zeros((4, 2))[::2])
    assert delivered(gradients, None) is gradients
    found = delivered(gradients, out)
    assert found[0] is out[0]
    assert found[1] is out[1]
    assert [array.sum() for array in out] == [3, 4]
