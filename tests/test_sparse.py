"""The tiles of the way back through a ReLU, against NumPy, and against unmapped memory."""

import numpy as np
import pytest

from jitloss_kernels import narrow_plan, shapes, sparse
from pages import beside_unmapped_pages
from problems import DTYPES, check_in_fresh_process, compiled, needs_jit
from test_tiles import TOLERANCE, around


@compiled
def gate(tile, hidden, h0, h_row, rows, slopes, s0, n, marks, m0):
    sparse.gate_tile(tile, hidden, h0, h_row, rows, slopes, s0, n, marks, m0)


@compiled
def outer(tile, height, a, a0, a_row, marks, m0, rows, b, b0, out, o0, o_row, o_panel, fresh, far, f0, f_row):
    sparse.sparse_outer_tile(
        tile, height, a, a0, a_row, marks, m0, rows, b, b0, out, o0, o_row, o_panel, fresh, far, f0, f_row
    )


def left_side(dtype, rows, n):
    """Half of it 0, of either sign."""
    random = np.random.default_rng(1)
    a = random.standard_normal((rows, n)).astype(dtype)
    a[random.random(a.shape) < 0.5] = 0.0
    a[random.random(a.shape) < 0.1] = -0.0
    return a


def marks_of(on):
    return np.array([sum(1 << k for k in range(on.shape[1]) if row[k]) for row in on], np.uint64)


def gate_case(dtype, rows, n, place=np.array):
    """A unit is on where it is above 0, or NaN; what lies between two rows of units stays as it is."""
    hidden, slopes = left_side(dtype, rows, n), left_side(dtype, rows, n)[::-1]
    for number, value in enumerate((np.nan, np.finfo(dtype).smallest_subnormal, np.inf, -np.inf)):
        hidden.flat[number * 7 % hidden.size] = value
        slopes.flat[number * 5 % hidden.size] = value
    on = np.isnan(hidden) | (hidden > 0)
    expected = np.where(on, slopes, 0)
    spread = np.full((2, rows, n + 3), 7, dtype)
    spread[:, :, :n] = hidden, slopes
    hidden, slopes = (place(side.ravel()[: side.size - 3]) for side in spread)
    marks = place(np.full(rows, 99, np.uint64))
    gate(sparse.gate.address(dtype), hidden, 0, n + 3, rows, slopes, 0, n, marks, 0)
    found = np.append(hidden, [7] * 3).reshape(rows, n + 3)
    np.testing.assert_array_equal(found[:, :n], expected)
    assert (found[:, n:] == 7).all()
    np.testing.assert_array_equal(marks, marks_of(on))


def outer_case(dtype, height, rows, n, fresh, place=np.array):
    """Where a number of `a` is 0, `b` may be infinite; what is not 0 comes from any of its rows."""
    panel = shapes.panel_items(np.dtype(dtype).itemsize)
    a = left_side(dtype, rows, n)
    a[:, n // 2] = 0
    random = np.random.default_rng(2)
    b, out = (random.standard_normal((size, height * panel)).astype(dtype) for size in (n, rows))
    b[n // 2] = 0
    expected = a.astype(float) @ b.astype(float) + (0 if fresh else out)
    b[n // 2] = np.inf
    if fresh:
        out[:] = np.nan  # is not read
    marks = marks_of(a != 0)
    in_panels = np.concatenate([out[:, p * panel : (p + 1) * panel].ravel() for p in range(height)])
    a, b, marks, found = place(a.ravel()), place(b.ravel()), place(marks), place(in_panels)
    outer(
        sparse.sparse_outer.table(dtype, heights=[height]), height, a, 0, n, marks, 0, rows, b, 0,
        found, 0, panel, rows * panel, fresh, b, 0, panel,
    )  # fmt: skip
    found = np.concatenate(found.reshape(height, rows, panel), axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype])


def test_a_bit_for_each_row_of_a_block():
    assert narrow_plan.MAX_BLOCK_ROWS <= sparse.MOST_TERMS


@pytest.mark.parametrize("dtype", DTYPES)
def test_gate(dtype):
    """Lengths around a vector, and as many as there are bits."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for n in {1, *around(vector), *around(2 * vector), 63, 64}:
        for rows in (1, 2, 5):
            gate_case(dtype, rows, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", range(1, sparse.widest() + 1))
def test_outer(dtype, height):
    """Written and added; one row, some, and more than a group of units has."""
    for n in (1, 2, 5, 63, 64):
        for rows in (1, 2, 11):
            outer_case(dtype, height, rows, n, fresh=n % 2 == 0)


@needs_jit
@beside_unmapped_pages
def test_nothing_outside_the_arrays_is_touched(at_end):
    """Every array against an unmapped page: a load or store beyond its end would kill the process."""
    check_in_fresh_process(
        f"""
        from test_sparse import *
        from pages import page_bound
        place = lambda array: page_bound(array, {at_end})
        for dtype in DTYPES:
            for n in range(1, 65):
                gate_case(dtype, 3, n, place)
                outer_case(dtype, 1 + n % sparse.widest(), 3, n, n % 3 == 0, place)
        """
    )
