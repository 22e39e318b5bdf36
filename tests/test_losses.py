"""The public functions: every implementation against the reference, over dtypes, shapes, layouts and seeds."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jitloss
from jitloss.losses import LOSSES as TABLE
from problems import DTYPES, IMPLEMENTATIONS, LOSSES, assert_close, assert_same_bits, layouts, make

FUNCTIONS = {"svm": jitloss.svm_loss, "softmax": jitloss.softmax_loss}
FAST = ("numpy", "jit")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    loss=st.sampled_from(LOSSES),
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(0, 40), st.integers(1, 70), st.integers(1, 33)),
    wrt=st.sampled_from([("W",), ("X",), ("W", "X"), ("X", "W"), ()]),
    reg=st.sampled_from([0.0, 1e-3, 2.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_implementations_agree(loss, dtype, shape, wrt, reg, seed):
    """Any small shape, any order of gradients, with and without regularisation."""
    W, X, y = make(shape, dtype, seed)
    expected = FUNCTIONS[loss](W, X, y, reg, wrt=wrt, implementation="numpy")
    for name in ("auto", "loop", "jit"):
        assert_close(FUNCTIONS[loss](W, X, y, reg, wrt=wrt, implementation=name), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(2000, 64, 10), (300, 785, 26), (70, 3073, 10), (40, 100, 257), (5000, 3, 2)])
def test_jit_agrees_on_larger_shapes(loss, dtype, shape):
    """Several lanes, many classes, long rows."""
    W, X, y = make(shape, dtype)
    found, expected = (FUNCTIONS[loss](W, X, y, 0.1, wrt=("W", "X"), implementation=name) for name in ("jit", "numpy"))
    assert_close(found, expected, dtype)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_layout_gives_the_same_bits(loss, dtype, name, tmp_path):
    """Order, strides, alignment, byte order and who may write do not change a bit, nor are inputs changed."""
    W, X, y = make((130, 33, 7), dtype)
    once = FUNCTIONS[loss](W, X, y, 0.1, wrt=("W", "X"), implementation=name)
    for position, array in enumerate((W, X, y)):
        for layout, variant in layouts(array, tmp_path):
            arguments = [W, X, y]
            arguments[position] = variant
            found = FUNCTIONS[loss](*arguments, 0.1, wrt=("W", "X"), implementation=name)
            if name == "jit":
                assert_same_bits(found, once)
            else:  # BLAS takes its own way for some layouts
                assert_close(found, once, dtype)
            np.testing.assert_array_equal(variant, array, err_msg=layout)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_labels_of_any_integer_dtype(loss, name):
    """int8 … uint64, either byte order."""
    W, X, y = make((9, 4, 3))
    once = FUNCTIONS[loss](W, X, y, implementation=name)
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        for order in "<>":
            assert_same_bits(FUNCTIONS[loss](W, X, y.astype(order + kind), implementation=name), once)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_compute_dtype(name):
    """float32 where W is float32 and X is float32, integer or bool; else float64. The loss is a Python float."""
    W, X, y = make((9, 4, 3))
    pixels = np.arange(36).reshape(9, 4) % 5
    for w, x, expected in [
        ("f4", X.astype("f4"), "f4"),
        ("f4", pixels.astype("u1"), "f4"),
        ("f4", pixels.astype("i8"), "f4"),
        ("f4", pixels > 2, "f4"),
        ("f4", X, "f8"),
        ("f8", X.astype("f4"), "f8"),
        ("f8", pixels.astype("u1"), "f8"),
        ("i4", pixels.astype("u1"), "f8"),
    ]:
        loss, dW, dX = jitloss.svm_loss(W.astype(w), x, y, wrt=("W", "X"), implementation=name)
        assert type(loss) is float
        assert dW.dtype == dX.dtype == np.dtype(expected)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_integers_are_their_values(loss, name):
    """uint8 pixels give what the same numbers as floats give."""
    W, _, y = make((9, 4, 3), "float32")
    pixels = (np.arange(36).reshape(9, 4) * 7 % 256).astype(np.uint8)
    found, expected = (FUNCTIONS[loss](W, x, y, implementation=name) for x in (pixels, pixels.astype(np.float32)))
    assert_same_bits(found, expected)


def test_lists_and_buffers_are_read():
    """What converts without loss is converted."""
    expected = jitloss.svm_loss(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 1.0]]), np.array([1]))
    assert_same_bits(jitloss.svm_loss([[1.0, 0.0], [0.0, 1.0]], [[3.0, 1.0]], [1]), expected)
    assert_same_bits(jitloss.svm_loss(memoryview(np.eye(2)), ((3, 1),), (1,)), expected)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_no_samples(loss, name):
    """N = 0: the loss of the data and its gradients are 0, the regulariser still counts."""
    W = np.array([[1.0, 2.0]])
    value, dW, dX = FUNCTIONS[loss](W, np.empty((0, 1)), [], 0.5, wrt=("W", "X"), implementation=name)
    assert value == 0.5 * 0.5 * 5
    assert dW.tolist() == [[0.5, 1.0]]
    assert dX.shape == (0, 1)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_class(loss, name):
    """C = 1: nothing can go wrong, so the loss and its gradients are 0."""
    value, dW, dX = FUNCTIONS[loss](np.ones((3, 1)), np.ones((5, 3)), [0] * 5, wrt=("W", "X"), implementation=name)
    assert value == 0
    assert not dW.any()
    assert not dX.any()


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_a_margin_of_exactly_zero_costs_nothing(name):
    """s = (2, 1), label 0: the margin is 0, neither the loss nor the gradient counts it."""
    loss, dW = jitloss.svm_loss([[2.0, 1.0]], [[1.0]], [0], implementation=name)
    assert loss == 0
    assert not dW.any()


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_shifting_all_scores_changes_nothing(name):
    """Adding a constant to every class's score of a sample leaves loss and dW as they were."""
    W, X, y = make((20, 5, 4))
    X, V = np.hstack([X, np.ones((20, 1))]), np.vstack([W, np.zeros((1, 4))])
    for function in FUNCTIONS.values():
        expected = function(V, X, y, implementation=name)
        V2 = V.copy()
        V2[-1] = 37.0
        assert_close(function(V2, X, y, implementation=name), expected, "float64")


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_permuting_classes_and_samples(loss, name):
    """Classes renamed: dW's columns follow. Samples reordered: dX's rows follow, dW stays."""
    W, X, y = make((20, 5, 4))
    value, dW, dX = FUNCTIONS[loss](W, X, y, wrt=("W", "X"), implementation=name)
    classes, samples = np.array([2, 0, 3, 1]), np.random.default_rng(1).permutation(20)
    renamed = np.argsort(classes)[y]
    assert_close(FUNCTIONS[loss](W[:, classes], X, renamed, implementation=name), (value, dW[:, classes]), "float64")
    found = FUNCTIONS[loss](W, X[samples], y[samples], wrt=("W", "X"), implementation=name)
    assert_close(found, (value, dW, dX[samples]), "float64")


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_dscores_sum_to_zero(loss, name):
    """With X the identity, dW is dscores / N; each row of it sums to 0."""
    W, _, y = make((12, 12, 5))
    _, dW = FUNCTIONS[loss](W, np.eye(12), y, implementation=name)
    np.testing.assert_allclose(dW.sum(axis=1), 0, atol=1e-16)
    assert (dW[np.arange(12), y] < 0).all()


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_never_hidden(loss, name, bad):
    """One bad number in X: the loss is not finite, and the other rows keep their own dX."""
    W, X, y = make((6, 5, 4))
    _, good = FUNCTIONS[loss](W, X, y, wrt="X", implementation=name)
    X[2, 1] = bad
    value, dX = FUNCTIONS[loss](W, X, y, wrt="X", implementation=name)
    others = [0, 1, 3, 4, 5]
    assert not np.isfinite(value)
    np.testing.assert_array_equal(dX[others], good[others])


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_nan_in_the_weights_of_a_class_that_is_no_label(loss, name):
    """Only a wrong class's scores are NaN; `NaN > 0` is false, so a hinge must not ask for that."""
    W, X, _ = make((6, 5, 4))
    W[1, 2] = np.nan
    value, dW = FUNCTIONS[loss](W, X, np.zeros(6, int), implementation=name)
    assert np.isnan(value)
    assert dW[:, 2].any()  # counted as violated, or NaN itself


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_out_is_written_and_returned(name):
    """The caller's arrays come back, of any strides; without `out` they are new on every call."""
    W, X, y = make((20, 5, 4))
    expected = jitloss.softmax_loss(W, X, y, 0.1, wrt=("X", "W"), implementation=name)
    assert jitloss.softmax_loss(W, X, y, implementation=name)[1].flags.c_contiguous
    for dX, dW in (
        (np.full((20, 5), 9.0), np.full((5, 4), 9.0)),
        (np.full((20, 5), 9.0, order="F"), np.full((10, 8), 9.0)[::2, ::-2]),
    ):
        found = jitloss.softmax_loss(W, X, y, 0.1, wrt=("X", "W"), out=(dX, dW), implementation=name)
        assert found[1] is dX
        assert found[2] is dW
        assert_same_bits(found, expected)
    single = np.empty((5, 4))
    assert jitloss.softmax_loss(W, X, y, out=single, implementation=name)[1] is single
    assert all(gradient.flags.c_contiguous for gradient in expected[1:])
    one, two = (jitloss.softmax_loss(W, X, y, implementation=name)[1] for _ in range(2))
    assert not np.shares_memory(one, two)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_out_may_be_a_memory_map(name, tmp_path):
    """A gradient on disk: written in place, returned as it was given."""
    W, X, y = make((20, 5, 4))
    dW = np.memmap(tmp_path / "dW", np.float64, "w+", shape=(5, 4))
    assert jitloss.svm_loss(W, X, y, out=dW, implementation=name)[1] is dW
    np.testing.assert_array_equal(dW, jitloss.svm_loss(W, X, y, implementation=name)[1])


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_of_ten_thousand(name, dtype):
    """Scores of ±1e4: finite, and exact where one class is certain."""
    W, X = np.array([[1e4, 0.0, -1e4]], dtype), np.array([[1.0], [-1.0]], dtype)
    loss, dW = jitloss.softmax_loss(W, X, [1, 1], implementation=name)
    assert loss == 1e4  # log(exp(0) + exp(-1e4) + exp(-2e4)) + 1e4
    np.testing.assert_array_equal(dW, [[0.5, 0.0, -0.5]])
    assert jitloss.svm_loss(W, X, [1, 2], implementation=name)[0] == (10001 + 0 + 0 + 0) / 2


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_margins_beyond_every_float(name):
    """s_j − s_y overflows to −inf: not violated, so it costs nothing; +inf costs infinity."""
    W = np.array([[3e38, -3e38]], np.float32)
    assert jitloss.svm_loss(W, np.ones((1, 1), np.float32), [0], implementation=name)[0] == 0
    assert jitloss.svm_loss(W, np.ones((1, 1), np.float32), [1], implementation=name)[0] == np.inf


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_one_class_does_not_hide_nan(loss, name):
    assert np.isnan(FUNCTIONS[loss]([[1.0]], [[np.nan]], [0], implementation=name)[0])


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_without_regularisation_large_weights_cost_nothing(name):
    """0 · sum(W²) is 0 also where sum(W²) overflows."""
    assert jitloss.svm_loss([[1e200, 0.0]], [[1e-199]], [0], implementation=name)[0] == 0


def test_documentation_names_every_argument():
    """Signature and docstring do not drift apart; both functions share all arguments but those of their own."""
    import inspect

    shared = []
    for loss, function in FUNCTIONS.items():
        parameters = inspect.signature(function).parameters
        shared.append({name: p for name, p in parameters.items() if name not in TABLE[loss].options})
        assert set(TABLE[loss].options) <= set(parameters)
        for name in parameters:
            assert f"\n    {name} : " in function.__doc__
        assert "0.5" in function.__doc__.split("\n\n")[0]
    assert shared[0] == shared[1]
    assert list(shared[0]) == list(shared[1])
