"""The register tile, against NumPy's matrix product, and against unmapped memory."""

import numpy as np
import pytest

from jitloss_kernels import differences, exchanges, moves, products, runs, shapes, tiles
from jitloss_kernels.pointers import by_address
from jitloss_kernels.simd import target
from pages import beside_unmapped_pages
from problems import DTYPES, JIT_DISABLED, check_in_fresh_process, compiled, needs_jit

needs_machine_code = pytest.mark.skipif(not by_address(), reason="the plain functions are what runs")
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}  # sums of up to a hundred products of size 1, of the largest entry


@compiled
def dot(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead):
    tiles.dot_tile(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead)


@compiled
def converting_dot(
    tile, height, a, a0, a_row, copy, c0, c_row, rows, b, b0, n, parts, p0, first, last, out, o0, o_row, o_column, ahead
):
    tiles.converting_dot_tile(
        tile, height, a, a0, a_row, copy, c0, c_row, rows, b, b0, n,
        parts, p0, first, last, out, o0, o_row, o_column, ahead,
    )  # fmt: skip


@compiled
def outer(tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead):
    tiles.outer_tile(
        tile, height, a, a0, a_row, a_k, b, b0, b_k, b_panel, n, out, o0, o_row, o_panel, columns, fresh, ahead
    )


def around(n):
    return [max(n - 1, 1), n, n + 1]


@compiled
def run_dot(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, out, o0, o_row):
    runs.run_dot_tile(tile, height, a, a0, a_row, rows, b, b0, n, parts, p0, out, o0, o_row)


@compiled
def run_outer(tile, height, a, a0, a_row, rows, b, b0, b_row, n, parts, p0, out, o0):
    runs.run_outer_tile(tile, height, a, a0, a_row, rows, b, b0, b_row, n, parts, p0, out, o0)


@compiled
def transpose(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled):
    moves.transpose_tile(tile, a, a0, a_row, rows, columns, out, o0, o_row, filled)


@compiled
def copy(tile, a, a0, a_row, rows, columns, out, o0, o_row):
    moves.copy_tile(tile, a, a0, a_row, rows, columns, out, o0, o_row)


@compiled
def choose(tile, a, a0, rows, classes, out, o0):
    differences.pivot_tile(tile, a, a0, rows, classes, out, o0)


@compiled
def difference(tile, a, a0, rows, classes, pivot, out, o0):
    differences.difference_tile(tile, a, a0, rows, classes, pivot, out, o0)


@compiled
def exchange(tile, s, s0, step, columns, pivot, n_marking):
    exchanges.exchange_tile(tile, s, s0, step, columns, pivot, n_marking)


@compiled
def complete(tile, a, a0, rows, classes, pivot, out, o0):
    differences.completion_tile(tile, a, a0, rows, classes, pivot, out, o0)


def in_panels(b):
    """(height, n) as dot_tile reads it: panel by panel of n, each with all rows, filled up with zeros."""
    panel = shapes.panel_items(b.itemsize)
    padded = np.zeros((len(b), -(-b.shape[1] // panel) * panel), b.dtype)
    padded[:, : b.shape[1]] = b
    return np.concatenate([padded[:, k : k + panel].ravel() for k in range(0, padded.shape[1], panel)])


def dot_case(dtype, height, rows, n, place=np.array, cut=None, given=None):
    """All of k in one call, or the panels before `cut` in a call before; with an `a` of a `given` type, converted."""
    random = np.random.default_rng(1)
    a, b, out = (random.standard_normal(shape).astype(dtype) for shape in ((rows, n), (height, n), (rows, height)))
    if given is not None:
        numbers = random.integers(0, 256, a.shape) if given == "uint8" else random.standard_normal(a.shape)
        a = numbers.astype(given)
        b /= 256
    expected = out + a.astype(dtype).astype(float) @ b.astype(float).T
    parts = np.full(-(-rows // 4) * 4 * height * shapes.vector_items(out.itemsize), np.nan, dtype)
    a, b, out, parts = place(a.ravel()), place(in_panels(b)), place(out.ravel()), place(parts)
    c_row, plain_tile = n + 2, products.dot.table(dtype, heights=[height])
    copy, plainly = place(np.full(rows * c_row - 2, np.nan, dtype)), place(out)
    for start, stop in [(0, n)] if cut is None else [(0, cut), (cut, n)]:
        ends = rows, b, start * height, stop - start, parts, 0, start == 0, stop == n
        if given is not None:
            tile = products.converting_dot.table(given, dtype, heights=[height])
            converting_dot(tile, height, a, start, n, copy, start, c_row, *ends, out, 0, height, 1, 0)
        else:
            dot(plain_tile, height, a, start, n, *ends, out, 0, height, 1, 0)
    if given is not None:
        copied = np.append(copy, [np.nan] * 2).reshape(rows, c_row)
        np.testing.assert_array_equal(copied[:, :n].ravel(), a.astype(dtype))
        assert np.isnan(copied[:, n:]).all()
        for start, stop in [(0, n)] if cut is None else [(0, cut), (cut, n)]:
            ends = rows, b, start * height, stop - start, parts, 0, start == 0, stop == n
            dot(plain_tile, height, copy, start, c_row, *ends, plainly, 0, height, 1, 0)
        np.testing.assert_array_equal(out, plainly)  # to the last bit
    np.testing.assert_allclose(out.reshape(rows, height), expected, rtol=0, atol=TOLERANCE[dtype])


def outer_case(dtype, height, columns, n, fresh, place=np.array):
    random = np.random.default_rng(2)
    a, b, out = (random.standard_normal(s).astype(dtype) for s in ((n, height), (n, columns), (height, columns)))
    expected = a.astype(float).T @ b.astype(float) + (0 if fresh else out)
    a, b, out = place(a.ravel()), place(b.ravel()), place(out.ravel())
    if fresh:
        out[:] = np.nan  # is not read
    panel = shapes.panel_items(out.itemsize)
    outer(
        products.outer.table(dtype, heights=[height]), height, a, 0, 1, height, b, 0, columns, panel, n,
        out, 0, columns, panel, columns, fresh, 0,
    )  # fmt: skip
    np.testing.assert_allclose(out.reshape(height, columns), expected, rtol=0, atol=TOLERANCE[dtype])


def run_case(dtype, columns, rows, n, place=np.array):
    """Both tiles for what lies in a run: rows of `a` and of the small operand further apart than they are long."""
    random = np.random.default_rng(4)
    a, b, slopes = (random.standard_normal(s).astype(dtype) for s in ((rows, n), (n, columns), (rows, columns)))
    scores, gradient = slopes + a.astype(float) @ b.astype(float), a.astype(float).T @ slopes.astype(float)
    spread = np.full((rows, columns + 2), np.nan, dtype)
    spread[:, :columns] = slopes
    wide = np.full((rows, n + 3), np.nan, dtype)
    wide[:, :n] = a
    parts = place(np.full(runs.parts_items(rows, columns, b.itemsize), np.nan, dtype))
    a, b, out = place(wide.ravel()[: wide.size - 3]), place(b.ravel()), place(np.full(b.size, np.nan, dtype))
    small = place(spread.ravel()[: spread.size - 2])
    tile = runs.run_outer.table(dtype, heights=[columns])
    run_outer(tile, columns, a, 0, n + 3, rows, small, 0, columns + 2, n, parts, 0, out, 0)
    np.testing.assert_allclose(out.reshape(n, columns), gradient, rtol=0, atol=TOLERANCE[dtype])
    tile = runs.run_dot.table(dtype, heights=[columns])
    run_dot(tile, columns, a, 0, n + 3, rows, b, 0, n, parts, 0, small, 0, columns + 2)
    found = np.append(small, [np.nan] * 2).reshape(spread.shape)
    np.testing.assert_allclose(found[:, :columns], scores, rtol=0, atol=TOLERANCE[dtype])
    assert np.isnan(found[:, columns:]).all()


def move_case(dtype, rows, columns, filled, place=np.array):
    """Both tiles that move numbers, beside numbers that must stay."""
    panel = shapes.panel_items(np.dtype(dtype).itemsize)
    a = np.random.default_rng(3).standard_normal((rows, columns)).astype(dtype)
    width = panel if filled else rows
    expected = np.zeros((columns, width), dtype)
    expected[:, :rows] = a.T
    source, out, same = place(a.ravel()), place(np.full(columns * width, np.nan, dtype)), place(np.full_like(a, np.nan))
    transpose_address, copy_address = moves.transposing.address(dtype), moves.copying.address(dtype)
    transpose(transpose_address, source, 0, columns, rows, columns, out, 0, width, filled)
    np.testing.assert_array_equal(out.reshape(columns, width), expected)
    copy(copy_address, source, 0, columns, rows, columns, same.ravel(), 0, columns)
    np.testing.assert_array_equal(same, a)


def pivot_case(dtype, rows, classes, pivot, place=np.array):
    """Weights to columns without the pivot, and a gradient's columns to those of all classes: small whole numbers."""
    panel = shapes.panel_items(np.dtype(dtype).itemsize)
    W = np.random.default_rng(4).integers(-9, 10, (rows, classes)).astype(dtype)
    order = [classes - 1 if j == pivot else j for j in range(classes - 1)]
    columns = np.zeros((classes - 1, panel), dtype)
    columns[:, :rows] = W.T[order] - W.T[pivot]
    found, dW = place(np.full(columns.size, np.nan, dtype)), place(np.full(W.size, np.nan, dtype))
    sizes = abs(W) + 10 * (np.arange(classes) != pivot).astype(dtype)
    number = place(np.full(1 + differences.peak_items(np.dtype(dtype).itemsize), np.nan, dtype))
    choose(differences.choosing.address(dtype), place(sizes.ravel()), 0, rows, classes, number, 0)
    assert number[0] == pivot
    difference(differences.subtracting.address(dtype), place(W.ravel()), 0, rows, classes, pivot, found, 0)
    np.testing.assert_array_equal(found.reshape(columns.shape), columns)
    complete(differences.completing.address(dtype), found, 0, rows, classes, pivot, dW, 0)
    expected = np.empty((rows, classes))
    expected[:, order] = columns[:, :rows].T
    expected[:, pivot] = -columns[:, :rows].sum(axis=0)
    np.testing.assert_array_equal(dW.reshape(expected.shape), expected)


def exchange_case(dtype, columns, pivot, n_marking, place=np.array):
    """Two rows change places; what comes from the last one is NaN where infinity or NaN was, or less than −1e6."""
    step = 2 * shapes.panel_items(np.dtype(dtype).itemsize)
    given = np.random.default_rng(5).standard_normal((columns + 1, step)).astype(dtype)
    given[0, [1, 2, 3]], given[columns - 1, step - 1] = (np.inf, -1.01e6, 0.99e6), np.nan
    expected = given.copy()
    if n_marking > 0:
        expected[columns, [1, 2]] = np.nan
    if n_marking == columns:
        expected[columns, step - 1] = np.nan
    expected[[pivot, columns]] = expected[[columns, pivot]]
    found = place(given.ravel())
    exchange(exchanges.exchanging.address(dtype), found, 0, step, columns, pivot, n_marking)
    np.testing.assert_array_equal(found.reshape(given.shape), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exchange_tile(dtype):
    """Each class as the pivot; the last one stays where it is."""
    for columns in (1, 2, 5, shapes.TALLEST):
        for pivot in range(columns + 1):
            for n_marking in (0, columns - 1, columns):
                exchange_case(dtype, columns, pivot, n_marking)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", range(2, shapes.TALLEST + 2))
def test_pivot_difference_and_completion_tile(dtype, classes):
    """Each class as the pivot; features around a vector and a panel."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for rows in {1, *around(vector), 2 * vector - 1, 2 * vector}:
        for pivot in range(classes):
            pivot_case(dtype, rows, classes, pivot)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filled", [False, True])
def test_transpose_and_copy_tile(dtype, filled):
    """Rows and columns around half a vector, a vector and a panel; filled up to a panel, rows are at most that many."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    sizes = {1, 2, *around(vector // 2), *around(vector), *around(2 * vector)}
    for rows in sizes - {2 * vector + 1} if filled else sizes | {5 * vector + 3}:
        for columns in sizes | {10, 5 * vector + 3}:
            move_case(dtype, rows, columns, filled)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", range(1, shapes.TALLEST + 1))
def test_dot_tile(dtype, height):
    """Rows around the tile's two and four, and lengths around one vector, a panel and several; in one call and two."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for rows in (1, 2, 3, 4, 5, 9):
        for n in {*around(vector), *around(2 * vector), *around(3 * vector), *around(6 * vector)}:
            dot_case(dtype, height, rows, n)
        dot_case(dtype, height, rows, 5 * vector, cut=2 * vector)


CONVERSIONS = [("uint8", "float32"), ("uint8", "float64"), ("float32", "float64"), ("float64", "float32")]


@pytest.mark.parametrize(("given", "dtype"), CONVERSIONS)
def test_converting_dot_tile(given, dtype):
    """The same edges; the copy is what NumPy converts to."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for height in (1, 2, 5, shapes.TALLEST):
        for rows in (1, 2, 3, 4, 5, 9):
            for n in {*around(vector), *around(2 * vector), *around(6 * vector)}:
                dot_case(dtype, height, rows, n, given=given)
            dot_case(dtype, height, rows, 5 * vector, cut=2 * vector, given=given)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", range(1, shapes.TALLEST + 1))
def test_outer_tile(dtype, height):
    """Columns around a vector, a panel and three panels; written and added."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for columns in {1, *around(vector), *around(2 * vector), *around(6 * vector)}:
        for n in (0, 1, 2, 5):
            outer_case(dtype, height, columns, n, fresh=n % 2 == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", range(1, runs.MOST_COLUMNS + 1))
def test_run_tiles(dtype, columns):
    """Rows around those that are taken at a time; features around one vector, and those that are taken at a time."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for rows in (1, 2, 3, 4, 5, 7):
        for n in {1, *around(vector), *around(2 * vector), *around(3 * vector), 7 * vector + 1}:
            run_case(dtype, columns, rows, n)


@needs_jit
@beside_unmapped_pages
def test_nothing_outside_the_arrays_is_touched(at_end):
    """Every array against an unmapped page: a load or store beyond its end would kill the process."""
    check_in_fresh_process(
        f"""
        import numpy as np
        from pages import page_bound
        from test_tiles import *
        place = lambda array: page_bound(array, {at_end})
        for dtype in DTYPES:
            vector = shapes.vector_items(np.dtype(dtype).itemsize)
            for height in (1, 2, 3, shapes.TALLEST - 1, shapes.TALLEST):
                for n in range(1, 2 * vector + 2):
                    dot_case(dtype, height, 5, n, place)
                    dot_case(dtype, height, 3, n + 2 * vector, place, cut=2 * vector)
                    outer_case(dtype, height, n, 3, n % 2 == 0, place)
            for columns in range(1, runs.MOST_COLUMNS + 1):
                for n in (1, vector - 1, vector, vector + 1, 4 * vector + 1):
                    run_case(dtype, columns, 1 + n % 5, n, place)
            for rows in range(1, 2 * vector + 1):
                for columns in range(1, 2 * vector + 2):
                    move_case(dtype, rows, columns, rows % 2 == 0, place)
                for pivot in (0, 3, 6):
                    pivot_case(dtype, rows, min(7, 2 * vector), pivot % (2 * vector), place)
                    exchange_case(dtype, 9, pivot, 9, place)
        for given, dtype in CONVERSIONS:
            vector = shapes.vector_items(np.dtype(dtype).itemsize)
            for height in (1, 3, shapes.TALLEST):
                for n in range(1, 2 * vector + 2):
                    dot_case(dtype, height, 5, n, place, given=given)
                    dot_case(dtype, height, 3, n + 2 * vector, place, cut=2 * vector, given=given)
        """
    )


@needs_machine_code
def test_vectors_are_as_long_as_the_target_has_them(tmp_path):
    """512-bit registers are used where the target has them, and nowhere else."""
    check_in_fresh_process(
        """
        from jitloss_kernels import simd
        from test_tiles import machine_code
        assert ("zmm" in machine_code("float64")) == (simd.target().vector_bytes == 64)
        """,
        NUMBA_CACHE_DIR=str(tmp_path),
    )


@needs_machine_code
@pytest.mark.skipif(target().vector_bytes < 32 or JIT_DISABLED, reason="there is nothing narrower than this machine")
@pytest.mark.parametrize(("cpu", "vector_bytes"), [("haswell", 32), ("generic", 16)])
def test_narrower_machines(cpu, vector_bytes, tmp_path):
    """FAULTS, row 15: right results, and not one instruction that such a machine lacks."""
    check_in_fresh_process(
        f"""
        from jitloss_kernels import simd
        from test_tiles import *
        assert simd.target().vector_bytes == {vector_bytes}
        for dtype in DTYPES:
            assert "zmm" not in machine_code(dtype)
            for height in range(1, shapes.TALLEST + 1):
                for n in (1, 4, 7, 33):
                    dot_case(dtype, height, 5, n)
                    outer_case(dtype, height, n, 3, False)
            for columns in range(1, runs.MOST_COLUMNS + 1):
                for n in (1, 4, 7, 33):
                    run_case(dtype, columns, 5, n)
            for rows in range(1, shapes.panel_items(np.dtype(dtype).itemsize) + 1):
                for columns in (1, 3, 10, 33):
                    move_case(dtype, rows, columns, True)
                    move_case(dtype, rows, columns, False)
                for pivot in range(shapes.TALLEST + 1):
                    pivot_case(dtype, rows, shapes.TALLEST + 1, pivot)
                    exchange_case(dtype, 5, pivot % 6, 5)
        for given, dtype in CONVERSIONS:
            for height in (1, shapes.TALLEST):
                for n in (1, 4, 7, 33):
                    dot_case(dtype, height, 5, n, given=given)
        """,
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
    )


def machine_code(dtype):
    """Assembly of the tiles; only in a process with a cache of its own, for code from the cache has none."""
    heights = range(1, shapes.TALLEST + 1)
    products.dot.table(dtype, heights=heights), products.outer.table(dtype, heights=heights)
    products.converting_dot.table("uint8", dtype, heights=heights)
    for code in (runs.run_dot, runs.run_outer):
        code.table(dtype, heights=range(1, runs.MOST_COLUMNS + 1))
    moving = moves.transposing, moves.copying, differences.choosing, differences.subtracting, differences.completing
    for code in (*moving, exchanges.exchanging):
        code.address(dtype)
    codes = products.dot, products.outer, products.converting_dot, runs.run_dot, runs.run_outer, *moving
    return "".join(library.get_asm_str() for code in (*codes, exchanges.exchanging) for library in code.libraries())
