"""Row losses in registers, against those of ``rows``, whose source Python runs here; and against unmapped memory."""

import sys

import numpy as np
import pytest

from jitloss_kernels import options, rows, shapes, strips
from jitloss_kernels.native import call_code
from jitloss_kernels.pointers import by_address
from problems import DTYPES, check_in_fresh_process, compiled

pytestmark = pytest.mark.skipif(not by_address(), reason="row losses are not called by address")

# Of scores of size 1: exponentials within 2 ulp, sums of a few dozen terms.
TOLERANCE = {"float64": 1e-14, "float32": 1e-6}
LOSSES = [("softmax", 1), ("weston_watkins", 1), ("weston_watkins", 2)]


@compiled
def settle(address, s, s0, step, n_rows, y, y0, n, margin, power, scale, total):
    call_code(address, (s, s0, step, n_rows, y, y0, n, margin, power, scale, total, 0))


def case(loss, power, dtype, n_rows, n, place=np.array, spoil=None, beside=3):
    """A strip of `n` samples, beside one that must stay; returns what was found and what was expected."""
    lanes, random = shapes.panel_items(np.dtype(dtype).itemsize), np.random.default_rng(n_rows)
    step = beside + lanes
    scores = random.standard_normal((n_rows, step)).astype(dtype)
    y = random.integers(0, n_rows, n)
    if spoil is not None:
        spoil(scores[:, beside:], y)
    margin, scale = 0.75, 0.125
    expected, part, totals = scores.copy(), np.zeros(2 * lanes, dtype), np.zeros(4 * lanes)
    empty = np.empty(0)
    plain = options.Options(margin, power, scale, True, 0.0, empty, empty, empty, empty, 0, 0)
    with np.errstate(all="ignore"):
        rows.ROWS[loss].kernel.python(
            expected.reshape(-1), beside, step, n_rows, rows.SAMPLES, y, 0, n, plain, part, totals
        )
    s, total = place(scores.reshape(-1)), place(np.full(2, np.nan))
    address = strips.STRIPS[loss].address(dtype)
    settle(address, s, beside, step, n_rows, place(y), 0, n, margin, power, scale, total)
    found = s.reshape(n_rows, step)
    np.testing.assert_array_equal(found[:, :beside], scores[:, :beside])
    return (total, found[:, beside : beside + n]), (totals[:2], expected[:, beside : beside + n])


def check(*asked, **more):
    found, expected = case(*asked, **more)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE[asked[2]], atol=TOLERANCE[asked[2]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
def test_against_the_loops(loss, power, dtype):
    """Two classes and many; one sample, and samples around a vector and a panel."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for n_rows in (1, 2, 3, 10, 60):
        for n in {1, max(vector - 1, 1), vector, vector + 1, 2 * vector - 1, 2 * vector}:
            check(loss, power, dtype, n_rows, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of_label", [True, False])
def test_a_score_that_is_not_finite(loss, power, dtype, bad, of_label):
    """The loss is what the loops say; so are the dscores of all other samples."""
    lane = 1

    def spoil(scores, y):
        scores[y[lane] if of_label else (y[lane] + 1) % 5, lane] = bad

    (total, found), (expected_total, expected) = case(loss, power, dtype, 5, 3, spoil=spoil)
    np.testing.assert_allclose(total, expected_total, rtol=TOLERANCE[dtype])
    others = [0, 2]
    np.testing.assert_allclose(found[:, others], expected[:, others], rtol=0, atol=TOLERANCE[dtype])
    if np.isfinite(expected_total[0]):
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_dscores_below_the_normal_numbers_are_zero(dtype):
    """They would slow every product down."""

    def spoil(scores, y):
        scores[:], y[:] = 0, 0
        scores[1] = {"float64": -707.0, "float32": -86.0}[dtype]  # normal, but not an eighth of it

    (_, found), _ = case("softmax", 1, dtype, 3, 4, spoil=spoil)
    np.testing.assert_array_equal(found[1], 0)
    assert (found[2] > 0).all()


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")
@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_outside_the_arrays_is_touched(at_end):
    """Scores, labels and results against an unmapped page: a load or store beyond would kill the process."""
    check_in_fresh_process(
        f"""
        from test_strips import *
        from test_tiles import page_bound
        place = lambda array: page_bound(array, {at_end})
        for dtype in DTYPES:
            for loss, power in LOSSES:
                for n in range(1, shapes.panel_items(np.dtype(dtype).itemsize) + 1):
                    check(loss, power, dtype, 3, n, place=place, beside=0)
        """
    )


@pytest.mark.parametrize("cpu", ["haswell", "generic"])
def test_narrower_machines(cpu, tmp_path):
    """Right results, and not one instruction that such a machine lacks."""
    check_in_fresh_process(
        """
        from test_strips import *
        for dtype in DTYPES:
            for loss, power in LOSSES:
                for n in range(1, shapes.panel_items(np.dtype(dtype).itemsize) + 1):
                    check(loss, power, dtype, 5, n)
        assembly = [library.get_asm_str() for code in strips.STRIPS.values() for library in code.libraries()]
        assert len(assembly) == 4
        assert "zmm" not in "".join(assembly)
        """,
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
