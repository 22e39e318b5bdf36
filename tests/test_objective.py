"""Objective: the loss functions bound to data, and what optimisers need of it."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize

from jitloss import Objective, softmax_loss, svm_loss
from jitloss.data import digits
from problems import DTYPES, JIT_DISABLED, LOSSES, assert_close, assert_same_bits, make, needs_jit

FUNCTIONS = {"svm": svm_loss, "softmax": softmax_loss}
SHAPES = [(10, 4, 3), (3, 5, 12)] + ([] if JIT_DISABLED else [(40, 9, 4), (30, 6, 140), (700, 130, 10)])
OPTIONS = [
    {}, {"fit_intercept": True, "reg": 0.1},
    {"sample_weight": "w", "class_weight": {0: 2.0}, "ignore_index": 1, "reg": 0.2, "reg_scale": 1.0},
    {"reduction": "sum", "fit_intercept": True},
]  # fmt: skip


def call(loss, W, X, y, b, options):
    """The same through the loss function."""
    given = {name: value for name, value in options.items() if name != "fit_intercept"}
    return FUNCTIONS[loss](W, X, y, **given, bias=b)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_bits_of_the_loss_function(loss, dtype, shape, options):
    """value_and_grad, fun, and batches of rows, repeated and out of order."""
    W, X, y = make(shape, dtype)
    y[-1] = shape[2] - 1
    options = {**options, "sample_weight": np.linspace(0.5, 2, shape[0])} if "sample_weight" in options else options
    b = np.linspace(-1, 1, shape[2]).astype(dtype) if options.get("fit_intercept") else None
    obj = Objective(X, y, loss, **options)
    found = obj.value_and_grad(W, b)
    assert_same_bits(found, call(loss, W, X, y, b, options))
    value, gradient = obj.fun(np.concatenate([W.ravel(), [] if b is None else b]).astype(dtype))
    assert value == found[0]
    np.testing.assert_array_equal(gradient, np.concatenate([g.ravel() for g in found[1:]]))
    indices = np.random.default_rng(0).integers(0, shape[0], 25)
    indices[0] = 0
    chosen = {n: v[indices] if n == "sample_weight" else v for n, v in options.items()}
    expected = call(loss, W, X[indices], y[indices], b, chosen)
    assert_same_bits(obj.batch(indices).value_and_grad(W, b), expected)
    again = obj.batch(np.arange(shape[0])[::-1]).batch(shape[0] - 1 - indices)
    assert_same_bits(again.value_and_grad(W, b), expected)


@pytest.mark.parametrize("given", ["uint8", "int16", ">f8", "float32"])
def test_batches_of_any_kind_of_input(given):
    W, _, y = make((60, 9, 4))
    X = np.random.default_rng(0).integers(0, 200, (60, 9)).astype(given)
    for layout in (X, np.asfortranarray(X), X[::-1, ::-1])[: 3 if given == "uint8" else 1]:
        obj, rows = Objective(layout, y, n_classes=4), [3, 3, 59, 0]
        assert_same_bits(obj.batch(rows).value_and_grad(W), softmax_loss(W, layout[rows], y[rows]))


def test_balanced_class_weights_as_in_scikit_learn():
    """Counted once, over all labels that are not ignored; batches keep them."""
    compute = pytest.importorskip("sklearn.utils.class_weight").compute_class_weight
    W, X, y = make((60, 5, 4))
    y[:30] = 0
    y[30] = 9
    kept = y != 9
    expected = compute("balanced", classes=np.arange(4), y=y[kept])
    obj = Objective(X, y, class_weight="balanced", ignore_index=9)
    found = softmax_loss(W, X, y, class_weight=expected, ignore_index=9)
    assert_close(obj.value_and_grad(W), found, "float64")
    rows = np.arange(20, 50)
    found = softmax_loss(W, X[rows], y[rows], class_weight=expected, ignore_index=9)
    assert_close(obj.batch(rows).value_and_grad(W), found, "float64")


def test_fun_returns_a_new_gradient_each_time():
    """SciPy keeps old ones."""
    W, X, y = make((40, 9, 4))
    obj = Objective(X, y)
    first, second = (obj.fun(W.ravel())[1] for _ in range(2))
    assert not np.shares_memory(first, second)


@needs_jit
@pytest.mark.parametrize("shape", [(20_000, 400, 10), (3000, 300, 400)], ids=str)
def test_nothing_large_is_allocated_after_the_first_call(shape):
    """With `out`, nothing of the size of the weights, of the labels or of X."""
    W, X, y = make(shape)
    obj, dW = Objective(X, y), np.empty_like(W)
    obj.value_and_grad(W, out=dW)
    tracemalloc.start()
    obj.value_and_grad(W, out=dW)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < min(W.nbytes, y.nbytes) / 2, peak


def test_a_batch_does_not_copy_rows():
    W, X, y = make((2000, 500, 4) if not JIT_DISABLED else (50, 500, 4))
    obj = Objective(X, y)
    rows = np.arange(len(y) // 2)
    obj.batch(rows).value_and_grad(W)
    tracemalloc.start()
    obj.batch(rows).value_and_grad(W)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X[rows].nbytes / 3, peak


@pytest.fixture(scope="module")
def optimum():
    """The digits, a strength of the regulariser, and scikit-learn's optimum for them; its C is 1 / (N · reg)."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    data, reg = digits(), 1e-3
    model = linear_model.LogisticRegression(C=1 / (len(data.X) * reg), solver="newton-cholesky", tol=1e-8)
    model.fit(data.X, data.y)
    return data, reg, np.ascontiguousarray(model.coef_.T), model.intercept_


@needs_jit
@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_lbfgs_on_the_digits_reaches_scikit_learns_optimum(dtype, optimum):
    """To 1e-8 in loss, with an intercept. As bytes pixels are 16 times as large: W is a 16th of what it was."""
    data, reg, theirs, intercept = optimum
    larger = 1 if dtype == "float64" else 16
    X = (data.X * larger).astype(dtype)
    obj = Objective(X, data.y, reg=reg * larger**2, fit_intercept=True)
    found = minimize(obj.fun, obj.x0, jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 0, "gtol": 1e-8})
    assert found.fun == pytest.approx(obj.value_and_grad(theirs / larger, intercept)[0], abs=1e-8)
    W, b = obj.unpack(found.x)
    assert ((X @ W + b).argmax(axis=1) == data.y).mean() > 0.97


def test_x0_and_unpack():
    obj = Objective(np.zeros((3, 5), np.float32), [0, 1, 2], fit_intercept=True)
    assert obj.shape == (5, 3)
    assert obj.x0.dtype == np.float32
    assert obj.x0.tolist() == [0.0] * 18
    W, b = obj.unpack(np.arange(18.0))
    assert W[0].tolist() == [0, 1, 2]
    assert b.tolist() == [15, 16, 17]
    assert Objective(np.zeros((3, 5), np.uint8), [0, 1, 2]).unpack(np.zeros(15))[1] is None
    assert Objective(np.zeros((3, 5), np.uint8), [0, 1, 2]).x0.dtype == np.float64


X3, Y3 = np.ones((3, 2)), [0, 1, 2]


@pytest.mark.parametrize(
    ("make_it", "error", "message"),
    [
        (lambda: Objective(X3, Y3, "hinge"), ValueError, "loss is 'hinge': expected one of 'svm', 'softmax'"),
        (lambda: Objective(X3, Y3, margin=2.0), TypeError, "margin is no option of loss 'softmax'"),
        (lambda: Objective(X3, Y3, typo=2.0), TypeError, "typo is no option"),
        (lambda: Objective(X3, [0, 1]), ValueError, r"y of shape \(2,\) does not fit X of shape \(3, 2\)"),
        (lambda: Objective(X3, [0, 1, -1]), ValueError, r"y\[2\] is -1"),
        (lambda: Objective(X3, Y3, n_classes=2), ValueError, r"y\[2\] is 2"),
        (lambda: Objective(X3, Y3, n_classes=0), ValueError, "n_classes is 0"),
        (lambda: Objective(X3, [-1] * 3, ignore_index=-1), ValueError, "pass n_classes="),
        (lambda: Objective(X3, Y3, reduction="none"), ValueError, "reduction is 'none'"),
        (lambda: Objective(X3, Y3, class_weight="even"), ValueError, "class_weight is 'even'"),
        (lambda: Objective(X3, Y3, reg=-1), ValueError, "reg is -1"),
        (lambda: Objective(X3[:, :0], Y3), ValueError, "no features"),
        (lambda: Objective(X3, Y3).fun(np.zeros(5)), ValueError, r"w has shape \(5,\): expected \(6,\)"),
        (lambda: Objective(X3, Y3).value_and_grad(X3), ValueError, r"W has shape \(3, 2\): expected \(2, 3\)"),
        (lambda: Objective(X3, Y3).value_and_grad(np.zeros((2, 3)), [0] * 3), ValueError, "b is given: expected none"),
        (lambda: Objective(X3, Y3, fit_intercept=True).value_and_grad(np.zeros((2, 3))), ValueError, "b is missing"),
        (lambda: Objective(X3, Y3).batch([0, 3]), IndexError, r"indices\[1\] is 3: expected 0 … 2"),
        (lambda: Objective(X3, Y3).batch([-1]), IndexError, r"indices\[0\] is -1"),
        (lambda: Objective(X3, Y3).batch([0.0]), TypeError, "expected integers in one dimension"),
        (lambda: Objective(X3, Y3).batch([[0]]), TypeError, "expected integers in one dimension"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(make_it, error, message):
    with pytest.raises(error, match=message):
        make_it()


def test_an_empty_batch_and_one_without_weight():
    """The mean over nothing is 0; the regulariser still counts."""
    W = np.ones((2, 3))
    for obj in (
        Objective(X3, Y3, reg=2.0).batch([]),
        Objective(X3, Y3, reg=2.0, sample_weight=[0, 0, 1]).batch([0, 1]),
    ):
        loss, dW = obj.value_and_grad(W)
        assert loss == 6.0
        np.testing.assert_array_equal(dW, 2 * W)
