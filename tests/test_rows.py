"""Row losses as numba compiles them: what weighs many classes runs them, where everything else has code of its own."""

import numpy as np
import pytest

from jitloss import softmax_loss, svm_loss
from jitloss.losses import LOSSES
from jitloss_kernels import fused, wide
from problems import DTYPES, assert_close, make

C = 75  # no whole number of vectors


def weighed(function, W, X, y, **options):
    """By the fused engine, each sample with a weight, all of them alike."""
    assert fused.way_of(len(X), *W.shape, W.itemsize)[0] is wide.run
    return function(W, X, y, sample_weight=np.full(len(X), 2.0), implementation="fused", **options)


def test_a_margin_of_exactly_zero_costs_nothing():
    W = np.full((1, C), 1.0)
    W[0, 3] = 2
    loss, dW = weighed(svm_loss, W, np.ones((2, 1)), [3, 3])
    assert loss == 0
    assert not dW.any()


@pytest.mark.parametrize("power", [1, 2])
def test_nan_in_the_weights_of_a_class_that_is_no_label(power):
    W, X, _ = make((6, 5, C))
    W[1, 2] = np.nan
    loss, dW = weighed(svm_loss, W, X, np.zeros(6, int), power=power)
    assert np.isnan(loss)
    assert dW[:, 2].any()


@pytest.mark.parametrize("options", [{}, {"power": 2}, {"multiclass": "crammer_singer"}], ids=["", "squared", "worst"])
def test_slopes_of_an_svm_sum_to_zero(options):
    W, _, y = make((12, 12, C))
    _, dW = weighed(svm_loss, W, np.eye(12), y, **options)
    np.testing.assert_allclose(dW.sum(axis=1), 0, atol=1e-13)
    assert (dW[np.arange(12), y] < 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("largest", [0, 3, C - 1])
def test_scores_of_ten_thousand(largest, dtype):
    """Exact where one class is certain, in whatever lane its score stands."""
    W = np.zeros((1, C), dtype)
    W[0, largest] = 1e4
    loss, dW = weighed(softmax_loss, W, np.ones((2, 1), dtype), [1, largest])
    assert loss == 5e3
    expected = np.zeros(C, dtype)
    expected[1], expected[largest] = -0.5, 0.5
    np.testing.assert_array_equal(dW[0], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("svm", {}), ("svm", {"power": 2, "margin": 0.5}), ("svm", {"multiclass": "crammer_singer"}),
        ("svm", {"multiclass": "crammer_singer", "power": 2}), ("softmax", {}), ("softmax", {"label_smoothing": 0.2}),
    ],
)  # fmt: skip
def test_the_reference_agrees(loss, options, dtype):
    """Weights of samples and of classes, labels to ignore."""
    W, X, y = make((20, 7, C), dtype)
    random = np.random.default_rng(1)
    given = {
        "sample_weight": random.random(20), "class_weight": random.random(C), "ignore_index": int(y[4]),
        "wrt": ("W", "b", "X"), "bias": W[0].copy(), **options,
    }  # fmt: skip
    found, expected = (LOSSES[loss].function(W, X, y, 0.1, implementation=name, **given) for name in ("fused", "numpy"))
    assert_close(found, expected, dtype)
