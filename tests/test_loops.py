"""The textbook loops, run by Python as they stand."""

import numpy as np
import pytest

import jitloss
from jitloss_kernels import loops
from problems import DTYPES, LOSSES, assert_close, check_in_fresh_process, make


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 1, 1), (1, 4, 3), (9, 1, 2), (12, 7, 10)])
def test_loops_agree_with_the_reference(loss, dtype, shape):
    """Loss, dW and dX, also for no rows, one feature and one class."""
    W, X, y = make(shape, dtype)
    function = getattr(jitloss, f"{loss}_loss")
    found, expected = (function(W, X, y, 0.2, wrt=("W", "X"), implementation=name) for name in ("loop", "numpy"))
    assert_close(found, expected, dtype)
    assert all(gradient.dtype == dtype for gradient in found[1:])


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_added_up_in_float64(loss):
    """20,000 float32 rows that cost the same: a float32 sum would be off by 1e-4."""
    W, X, y = np.zeros((1, 10), np.float32), np.ones((20_000, 1), np.float32), np.zeros(20_000, int)
    expected = 9 if loss == "svm" else np.log(10)
    value = getattr(jitloss, f"{loss}_loss")(W, X, y, implementation="loop")[0]
    assert value == pytest.approx(expected, rel=2 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_range_of_rows_adds_to_dW_and_writes_its_rows_of_dX_alone(loss):
    """Rows 2..5 of 8: the other rows of dX stay as they were, dW is added to what was there."""
    W, X, y = make((8, 3, 4))
    rows, Wt = getattr(loops, f"{loss}_rows"), np.ascontiguousarray(W.T)
    whole, part = np.zeros_like(Wt), np.ones_like(Wt)
    dX = np.full_like(X, 7.0)
    total = rows(Wt, X, y, 2, 5, 1.0, np.empty(4), part, dX)
    nothing = np.empty((0, 0))
    assert total == rows(Wt, X[2:5], y[2:5], 0, 3, 1.0, np.empty(4), whole, nothing)
    np.testing.assert_allclose(part, 1 + whole, rtol=1e-15)
    assert (dX[:2] == 7).all()
    assert (dX[5:] == 7).all()
    assert not (dX[2:5] == 7).any()


def test_nothing_is_compiled_for_the_loop():
    """The loop runs in a process that never imports numba."""
    check_in_fresh_process("""
        import sys
        import jitloss
        loss, dW = jitloss.softmax_loss([[0.0, 0.0]], [[1.0]], [1], implementation="loop")
        assert round(loss, 6) == 0.693147, loss
        assert not [name for name in sys.modules if name.split(".")[0] in ("numba", "llvmlite")]
    """)
