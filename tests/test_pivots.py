"""A class less to multiply: right whichever class that is, and as if it had not been left out where that shows."""

from itertools import product as combinations

import numpy as np
import pytest

from jitloss import Objective, softmax_loss, svm_loss
from jitloss.losses import LOSSES as TABLE
from jitloss_kernels import fused, narrow_plan, pivots
from jitloss_kernels.shapes import TALLEST
from problems import LOSSES, assert_close, assert_same_bits, make

N_ROWS, N_FEATURES, N_CLASSES = 70, 19, TALLEST
OTHERS = [
    (svm_loss, {}), (svm_loss, {"power": 2}), (svm_loss, {"multiclass": "crammer_singer"}), (softmax_loss, {}),
    (softmax_loss, {"label_smoothing": 0.2, "class_weight": np.linspace(0, 2, N_CLASSES)}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def problems_have_a_pivot():
    assert pivots.columns_of(N_ROWS, N_CLASSES, 8) == N_CLASSES - 1


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("pivot", range(N_CLASSES))
def test_every_class_as_the_pivot(pivot, bias):
    """All losses, all gradients; weights and ignored labels; a bias far from 0, which no difference is made of."""
    W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
    W[:, pivot] *= 1e-3
    options = {"reg": 0.1, "wrt": ("W", "b", "X"), "bias": np.zeros(N_CLASSES)}
    if bias:
        options |= {"bias": np.linspace(-3, 3, N_CLASSES), "ignore_index": 2}
        options |= {"sample_weight": np.linspace(0, 2, N_ROWS)}
    for call, more in OTHERS:
        found = call(W, X, y, **options, **more, implementation="fused")
        assert_close(found, call(W, X, y, **options, **more, implementation="numpy"), "float64")


def test_losses_know_differences_of_scores_alone():
    """What every loss has to keep to: the same number on all scores of a sample changes nothing."""
    W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
    shifted = W + np.linspace(-2, 2, N_FEATURES)[:, np.newaxis]
    for (call, more), name in combinations(OTHERS, ("numpy", "fused")):
        asked = {"wrt": ("W", "b"), "bias": np.zeros(N_CLASSES), "implementation": name, **more}
        expected = call(W, X, y, **asked)
        assert_close(call(shifted, X, y, **asked), expected, "float64")
        np.testing.assert_allclose(expected[1].sum(axis=1), 0, atol=1e-14)
        np.testing.assert_allclose(expected[2].sum(), 0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("large", [0, 3, N_CLASSES - 1])
def test_a_class_of_large_weights_costs_the_others_no_accuracy(loss, large):
    """Its scores are beyond all others', who keep theirs: to subtract it from them would leave five digits less."""
    W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
    W[0, large], X[:, 0] = -3e5, np.abs(X[:, 0]).clip(0.1, 3)  # short of the million that would have no pivot
    y[y == large] = (large + 1) % N_CLASSES
    found = TABLE[loss].function(W, X, y, implementation="fused")
    assert_close(found, TABLE[loss].function(W, X, y, implementation="numpy"), "float64")


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["X", "W", "bias"])
def test_what_is_not_finite_is_what_it_was(loss, bad, where):
    """Whatever class it is in: the same loss and gradients as without a pivot, and as finite as the reference's."""
    for number in (0, 1, N_CLASSES - 1):
        W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
        bias = np.zeros(N_CLASSES)
        W[:, 1] *= 1e-3
        {"X": X, "W": W, "bias": bias[np.newaxis]}[where][0, number] = bad
        found = TABLE[loss].function(W, X, y, bias=bias, wrt=("W", "b", "X"))
        assert_same_bits(found, without_pivot(loss, W, X, y, bias))
        with np.errstate(invalid="ignore"):
            expected = TABLE[loss].function(W, X, y, bias=bias, wrt=("W", "b", "X"), implementation="numpy")
        assert np.isfinite(found[0]) == np.isfinite(expected[0])
        assert TABLE[loss].function(W, X, y, bias=bias, wrt=())[0] == pytest.approx(found[0], rel=0, nan_ok=True)


def without_pivot(loss, W, X, y, bias):
    """The loss and all gradients of the mean, every class multiplied."""
    gradients = {name: np.empty(shape) for name, shape in (("W", W.shape), ("b", len(bias)), ("X", X.shape))}
    row_loss = next(iter(TABLE[loss].forms))  # the default
    options, arrays = fused.options_of(row_loss, W.dtype, (len(y), *W.shape), 1 / len(y))
    total, _ = fused.linear_loss(row_loss, W, X, y, bias, options, arrays, 0.0, gradients, None, may_pivot=False)
    return [total / len(y), *gradients.values()]


@pytest.mark.parametrize("loss", LOSSES)
def test_infinite_scores_of_all_classes_but_the_pivot(loss):
    """Relative to the pivot's, scores are −∞, which costs nothing if that is the label; in truth nothing is known."""
    W, X, y = np.full((1, N_CLASSES), -2.0), np.ones((N_ROWS, 1)), np.full(N_ROWS, 4)
    W[0, 4] = -1
    X[7] = np.inf
    for wrt in ((), ("W",), ("X",)):
        assert np.isnan(TABLE[loss].function(W, X, y, wrt=wrt)[0])


@pytest.mark.parametrize("loss", LOSSES)
def test_features_of_very_different_scales(loss):
    """A class, no label, of no weight where all others' are large and features small, and far away by another feature.

    Its largest weight is the smallest, so it is the pivot; but relative to it the others' scores are all alike.
    """
    for scale in (1e3, 1e6, 1e9, 1e12, 1e18):
        W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
        y[y == 3] = 4
        W[0] *= scale
        W[[0, 1], 3] = 0, -scale / 3
        X[:, 0] /= scale
        X[:, 1] = np.abs(X[:, 1]) + 0.1
        found = TABLE[loss].function(W, X, y, implementation="fused")
        expected = TABLE[loss].function(W, X, y, implementation="numpy")
        assert found[0] == pytest.approx(expected[0], rel=1e-9)
        of_feature = np.abs(expected[1]).max(axis=1, keepdims=True)
        np.testing.assert_allclose(found[1] / of_feature, expected[1] / of_feature, rtol=0, atol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_beside_nan_keep_their_own_dx(loss):
    """FAULTS, row 10: all is done over without a pivot, which is the same but for roundings."""
    W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
    expected = TABLE[loss].function(W, X, y, wrt="X")[1]
    X[5, 2] = np.nan
    value, dX = TABLE[loss].function(W, X, y, wrt="X")
    others = np.arange(N_ROWS) != 5
    assert np.isnan(value)
    np.testing.assert_allclose(dX[others], expected[others], rtol=0, atol=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_nan_without_weight_stays_unseen(loss):
    """FAULTS, row 10: as with zeros in its place, and not done over again: that would change bits of dX."""
    W, X, y = make((N_ROWS, N_FEATURES, N_CLASSES))
    weights = np.ones(N_ROWS)
    weights[[3, 67]] = 0
    X[[3, 67]] = 0
    expected = TABLE[loss].function(W, X, y, sample_weight=weights, wrt=("W", "X"))
    X[[3, 67]] = np.nan
    found = TABLE[loss].function(W, X, y, sample_weight=weights, wrt=("W", "X"))
    assert_close(found, expected, "float64")
    assert_same_bits(found[::2], expected[::2])


def test_where_there_is_a_pivot():
    """Many rows, float64, classes that make up one tile; never in a net's layer."""
    for n_rows, n_classes, item_bytes, spared in (
        (64, 6, 8, 1), (63, 6, 8, 0), (64, 5, 8, 0), (64, 6, 4, 0), (64, TALLEST + 1, 8, 1), (64, TALLEST + 2, 8, 0)
    ):  # fmt: skip
        assert pivots.columns_of(n_rows, n_classes, item_bytes) == n_classes - spared
    cut = narrow_plan.Cut(may_pivot=False)
    assert narrow_plan.plan(500, 40, N_CLASSES, 8, "direct", ("W",), cut).n_columns == N_CLASSES


def test_an_objective_has_one_too():
    """Chosen rows, and one W after the other: each has its own pivot."""
    _, X, y = make((2 * N_ROWS, N_FEATURES, N_CLASSES))
    objective = Objective(X, y, "softmax", 0.01, n_classes=N_CLASSES).batch(np.arange(0, 2 * N_ROWS, 2))
    for number in range(N_CLASSES):
        W = make((1, N_FEATURES, N_CLASSES), seed=number)[0]
        W[:, number] *= 1e-2
        found = objective.value_and_grad(W)
        assert_close(found, softmax_loss(W, X[::2], y[::2], 0.01, implementation="numpy"), "float64")
