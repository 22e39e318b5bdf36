"""Row losses in registers, against those of ``rows``, whose source Python runs here; and against unmapped memory."""

import numpy as np
import pytest

from jitloss_kernels import class_strips, options, rows, shapes, strips
from jitloss_kernels.native import call_code
from jitloss_kernels.pointers import by_address
from pages import beside_unmapped_pages
from problems import DTYPES, check_in_fresh_process, compiled

pytestmark = pytest.mark.skipif(not by_address(), reason="row losses are not called by address")

# Of scores of size 1: exponentials within 2 ulp, sums of a few dozen terms.
TOLERANCE = {"float64": 1e-14, "float32": 1e-6}
LOSSES = [("softmax", 1), ("weston_watkins", 1), ("weston_watkins", 2)]


@compiled
def settle(
    address, s, s0, step, n_rows, y, n, margin, power, scale, total, first, weights, hits, base, total_base, losses
):
    given = (first, weights, hits, base, total_base, losses)
    call_code(address, (s, s0, step, n_rows, y, first, n, margin, power, scale, total, 0, *given))


def case(loss, power, dtype, n_rows, n, place=np.array, spoil=None, beside=3, first=0, **asked):
    """A strip of `n` samples, beside one that must stay; returns what was found and what was expected.

    `asked`: what is asked of it, of ``weights``, ``hits``, ``base`` and ``losses``; functions of a length and a random
    generator make them. Their samples begin at the `first`.
    """
    lanes, random = shapes.panel_items(np.dtype(dtype).itemsize), np.random.default_rng(n_rows)
    step = beside + lanes
    scores = random.standard_normal((n_rows, step)).astype(dtype)
    y = np.zeros(first + n, np.int64)
    y[first:] = random.integers(0, n_rows, n)
    if spoil is not None:
        spoil(scores[:, beside:], y[first:])
    margin, scale = 0.75, 0.125
    arrays = {name: make(n_rows if name in ("hits", "base") else first + n) for name, make in asked.items()}
    arrays = {name: array.astype(dtype if name in ("base", "losses") else float) for name, array in arrays.items()}
    base_sum = float(arrays["base"].sum()) if "base" in arrays else 0.0
    expected, part, totals = scores.copy(), np.zeros(2 * lanes, dtype), np.zeros(4 * lanes)
    of_loops = [arrays.get(name, np.empty(0)).copy() for name in ("hits", "base", "weights", "losses")]
    given = options.Options(margin, power, scale, not asked, base_sum, *of_loops, 0, 0)
    with np.errstate(all="ignore"):
        rows.ROWS[loss].kernel.python(
            expected.reshape(-1), beside, step, n_rows, rows.SAMPLES, y, first, n, given, part, totals
        )
    s, total = place(scores.reshape(-1)), place(np.full(2, np.nan))
    arrays = {name: place(array) for name, array in arrays.items()}
    where = [arrays[name].ctypes.data if name in arrays else 0 for name in ("weights", "hits", "base")]
    losses = arrays.get("losses")
    code = strips.STRIPS[loss].weighed if asked else strips.STRIPS[loss].plain
    settle(
        code.address(dtype), s, beside, step, n_rows, place(y), n, margin, power, scale, total, first,
        *where, base_sum, 0 if losses is None else losses.ctypes.data,
    )  # fmt: skip
    found = s.reshape(n_rows, step)
    np.testing.assert_array_equal(found[:, :beside], scores[:, :beside])
    results = (total, found[:, beside : beside + n], *([] if losses is None else [losses]))
    wanted = (totals[:2], expected[:, beside : beside + n], *([] if losses is None else [of_loops[3]]))
    return results, wanted


def class_case(loss, power, dtype, n_classes, label, place=np.array, spoil=None, gap=3):
    """One sample of so many classes, a label given, its rows apart; returns what was found and what was expected."""
    lanes, random = shapes.panel_items(np.dtype(dtype).itemsize), np.random.default_rng(n_classes)
    n_rows = -(-n_classes // lanes)
    padded = np.full(n_rows * lanes, -np.inf, dtype)
    padded[:n_classes] = random.standard_normal(n_classes)
    if spoil is not None:
        spoil(padded)
    step = lanes + gap
    scores = np.full((n_rows, step), 7, dtype)
    scores[:, :lanes] = padded.reshape(n_rows, lanes)
    flat = scores.reshape(-1)[: n_rows * step - gap]
    margin, scale, y, empty = 0.75, 0.125, np.array([0, label]), np.empty(0)
    expected, part, totals = flat.copy(), np.zeros(2 * lanes, dtype), np.zeros(4 * lanes)
    given = options.Options(margin, power, scale, True, 0.0, empty, empty, empty, empty, 0, 0)
    with np.errstate(all="ignore"):
        rows.ROWS[loss].kernel.python(expected, 0, step, n_rows, rows.CLASSES, y, 1, 1, given, part, totals)
    s, total = place(flat), place(np.full(2, np.nan))
    address = class_strips.CLASS_STRIPS[loss].address(dtype)
    settle(address, s, 0, step, n_rows, place(y), 1, margin, power, scale, total, 1, 0, 0, 0, 0.0, 0)
    return (total, s), (totals[:2], expected)


def check(*problem, **more):
    found, expected = case(*problem, **more)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE[problem[2]], atol=TOLERANCE[problem[2]])


def some(n):
    """Weights, every third of which is 0."""
    return np.where(np.arange(n) % 3 == 1, 0.0, np.random.default_rng(n).uniform(0.5, 2, n))


# An SVM has no base: it is for softmax alone.
ASKED = [
    {"weights": some},
    {"hits": some},
    {"losses": np.zeros},
    {"weights": some, "hits": some, "losses": np.zeros},
    {"base": some},
    {"weights": some, "hits": some, "base": some, "losses": np.zeros},
]
WEIGHED = [(*loss, asked) for loss in LOSSES for asked in ASKED if loss[0] == "softmax" or "base" not in asked]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
def test_against_the_loops(loss, power, dtype):
    """Two classes and many; one sample, and samples around a vector and a panel."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for n_rows in (1, 2, 3, 10, 60):
        for n in {1, max(vector - 1, 1), vector, vector + 1, 2 * vector - 1, 2 * vector}:
            check(loss, power, dtype, n_rows, n)


def check_classes(*problem, **more):
    found, expected = class_case(*problem, **more)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=TOLERANCE[problem[2]], atol=TOLERANCE[problem[2]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
def test_classes_of_one_sample_against_the_loops(loss, power, dtype):
    """Around a vector, a panel and two; labels at both ends and in between; what lies between the rows stays."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for n_classes in {1, 2, vector - 1, vector + 1, 2 * vector, 2 * vector + 1, 4 * vector, 100, 439}:
        for label in {0, n_classes // 2, n_classes - 1}:
            check_classes(loss, power, dtype, n_classes, label)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 37, 69])
def test_a_class_whose_score_is_not_finite(loss, power, dtype, bad, at):
    """The label's, which is 37, or another's: the loss is what the loops say, and so are finite dscores."""

    def spoil(scores):
        scores[at] = bad

    (total, found), (expected_total, expected) = class_case(loss, power, dtype, 70, 37, spoil=spoil)
    np.testing.assert_allclose(total, expected_total, rtol=TOLERANCE[dtype])
    if np.isfinite(expected_total[0]):
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power", "asked"), WEIGHED)
def test_options_against_the_loops(loss, power, asked, dtype):
    """Samples that weigh nothing among others; a strip that is not the first."""
    vector = shapes.vector_items(np.dtype(dtype).itemsize)
    for n_rows in (1, 2, 3, 10):
        for n in (1, vector - 1, vector + 1, 2 * vector):
            for first in (0, 5):
                check(loss, power, dtype, n_rows, n, first=first, **asked)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
def test_weights_of_one_change_no_bit_of_the_dscores(loss, power, dtype):
    n = shapes.panel_items(np.dtype(dtype).itemsize) - 1
    for n_rows in (2, 10):
        (_, plain), _ = case(loss, power, dtype, n_rows, n)
        for asked in ({"weights": np.ones}, {"hits": np.ones}, {"weights": np.ones, "hits": np.ones}):
            (_, weighed), _ = case(loss, power, dtype, n_rows, n, **asked)
            np.testing.assert_array_equal(weighed, plain)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "power"), LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of_label", [True, False])
def test_what_weighs_nothing_may_be_anything(loss, power, dtype, bad, of_label):
    """Its dscores are 0 exactly; that its loss would be NaN is counted."""

    def spoil(scores, y):
        scores[y[1] if of_label else (y[1] + 1) % 5, 1] = bad

    (total, found), (expected_total, expected) = case(loss, power, dtype, 5, 3, spoil=spoil, weights=some)
    np.testing.assert_allclose(total, expected_total, rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(found[:, 1], 0)


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


@beside_unmapped_pages
def test_nothing_outside_the_arrays_is_touched(at_end):
    """Scores, labels and results against an unmapped page: a load or store beyond would kill the process."""
    check_in_fresh_process(
        f"""
        from test_strips import *
        from pages import page_bound
        place = lambda array: page_bound(array, {at_end})
        for dtype in DTYPES:
            for loss, power in LOSSES:
                for n in range(1, shapes.panel_items(np.dtype(dtype).itemsize) + 1):
                    check(loss, power, dtype, 3, n, place=place, beside=0)
                    asked = ASKED[-1 if loss == "softmax" else 3]
                    check(loss, power, dtype, 3, n, place=place, beside=0, **asked)
                for n_classes in (1, 9, 16, 33, 70):
                    check_classes(loss, power, dtype, n_classes, n_classes - 1, place=place)
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
                    check(loss, power, dtype, 5, n, **ASKED[-1 if loss == "softmax" else 3])
                for n_classes in (1, 9, 16, 33, 70):
                    check_classes(loss, power, dtype, n_classes, n_classes - 1)
        codes = [*(code for pair in strips.STRIPS.values() for code in pair), *class_strips.CLASS_STRIPS.values()]
        assembly = [library.get_asm_str() for code in codes for library in code.libraries()]
        assert len(assembly) == 12
        assert "zmm" not in "".join(assembly)
        """,
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES="",
        NUMBA_CACHE_DIR=str(tmp_path),
    )
