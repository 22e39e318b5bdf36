"""The NumPy definitions, against hand computation, finite differences, mpmath and the mistakes others made."""

import mpmath
import numpy as np
import pytest

from jitloss import reference, softmax_loss, svm_loss
from problems import DTYPES, LOSSES, make

ROWS = {"svm": reference.weston_watkins, "softmax": reference.softmax}


def test_svm_by_hand():
    """Scores (3, 1, 2.5) with label 0 cost max(0, -1) + max(0, 0.5); with label 2, 1.5 + max(0, -0.5)."""
    losses, A = reference.weston_watkins(np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5]]), np.array([0, 2]))
    assert losses.tolist() == [0.5, 1.5]
    assert A.tolist() == [[-1.0, 0.0, 1.0], [1.0, 0.0, -1.0]]


def test_svm_counts_a_margin_of_exactly_zero_as_satisfied():
    """The derivative at the kink is 0: the term must be strictly positive."""
    losses, A = reference.weston_watkins(np.array([[2.0, 1.0]]), np.array([0]))
    assert losses.tolist() == [0.0]
    assert np.abs(A).tolist() == [[0.0, 0.0]]


def test_softmax_by_hand():
    """Scores (ln 2, 0, 0): probabilities 1/2, 1/4, 1/4."""
    losses, A = reference.softmax(np.log([[2.0, 1.0, 1.0]]), np.array([1]))
    np.testing.assert_allclose(losses, [np.log(4)], rtol=1e-15)
    np.testing.assert_allclose(A, [[0.5, -0.75, 0.25]], rtol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_linear_loss_by_hand(loss):
    """One feature, W = 0: every margin is 1 and every probability 1/2; reg adds decay * 0."""
    W, X, y = np.zeros((1, 2)), np.array([[2.0], [4.0]]), np.array([0, 1])
    value, (dW, dX) = reference.linear_loss(ROWS[loss], W, X, y, 3.0, ("W", "X"))
    per_sample, slope = (1.0, 1.0) if loss == "svm" else (np.log(2), 0.5)
    np.testing.assert_allclose(value, per_sample, rtol=1e-15)
    np.testing.assert_allclose(dW, slope * np.array([[(-2 + 4) / 2, (2 - 4) / 2]]), rtol=1e-15)
    assert dX.tolist() == [[0.0], [0.0]]


def test_regularisation_by_hand():
    """decay * sum(W * W) with gradient 2 * decay * W; reg_scale 0.5 is the default, 1 the course's since 2018."""
    W, X, y = np.array([[3.0], [4.0]]), np.ones((1, 2)), [0]  # one class: the loss of the data is 0
    for function in (svm_loss, softmax_loss):
        for scale, options in ((0.5, {}), (1.0, {"reg_scale": 1.0})):
            loss, dW = function(W, X, y, 0.1, implementation="numpy", **options)
            assert loss == pytest.approx(scale * 0.1 * 25, rel=1e-15)
            np.testing.assert_allclose(dW, 2 * scale * 0.1 * W, rtol=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(1, 1, 2), (5, 3, 4), (20, 7, 3)])
def test_gradients_against_central_differences(loss, shape):
    """Second-order differences with h = 1e-6: wrong by about h² and eps / h, 1e-9."""
    W, X, y = make(shape)

    def value() -> float:
        return reference.linear_loss(ROWS[loss], W, X, y, 0.3, ())[0]

    _, gradients = reference.linear_loss(ROWS[loss], W, X, y, 0.3, ("W", "X"))
    for array, gradient in zip((W, X), gradients, strict=True):
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + 1e-6
            above = value()
            array[index] = before - 1e-6
            below = value()
            array[index] = before
            assert (above - below) / 2e-6 == pytest.approx(gradient[index], abs=5e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_softmax_of_huge_scores_against_mpmath(dtype, size):
    """No exponential overflows, and no logarithm is taken of a probability that rounded to 0."""
    S = (np.array([[1.0, 0.0, -1.0], [0.25, 0.5, 0.5]]) * size).astype(dtype)
    losses, A = reference.softmax(S, np.array([2, 0]))
    ulps = 4 * float(np.finfo(dtype).eps)
    for row, label, loss, dscores in zip(S, [2, 0], losses, A, strict=True):
        exact = [mpmath.mpf(float(score)) for score in row]
        normaliser = mpmath.fsum(mpmath.exp(score) for score in exact)
        assert float(loss) == pytest.approx(float(mpmath.log(normaliser) - exact[label]), rel=ulps)
        for j, score in enumerate(exact):
            expected = float(mpmath.exp(score) / normaliser) - (j == label)
            assert float(dscores[j]) == pytest.approx(expected, abs=ulps)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_never_gives_a_finite_loss_at_the_label(loss, bad):
    """NaN and infinity come out as NaN or infinity; softmax of a certain label (+inf) is inf − inf."""
    with np.errstate(invalid="ignore"):
        losses, _ = ROWS[loss](np.array([[0.0, bad, 1.0]]), np.array([1]))
    assert not np.isfinite(losses[0])


def test_nothing_of_size_n_by_n_is_made():
    """20,000 rows: an N×N product would hold 3.2 GB, the N×C scores hold 0.5 MB."""
    import tracemalloc

    W, X, y = make((20_000, 4, 3))
    for rows in ROWS.values():
        tracemalloc.start()
        reference.linear_loss(rows, W, X, y, 0.0, ("W", "X"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 10e6


def test_mistake_margin_outside_the_max():
    """`max(0, s_j − s_y) + 1` charges every class a whole margin, violated or not."""
    W, X, y = make((30, 5, 4))
    S = X @ W
    wrong = np.maximum(0, S - S[np.arange(30), y][:, np.newaxis]) + 1
    wrong[np.arange(30), y] = 0
    loss, _ = svm_loss(W, X, y, implementation="numpy")
    assert wrong.sum() / 30 > loss + 0.1


def test_mistake_label_of_the_first_sample_for_all():
    """`loss_selector.dot(log(p.T))[0, :]` is right only near W = 0, where all labels cost the same."""

    def noted(W: np.ndarray) -> float:
        scores = X.dot(W)
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        loss_selector = np.zeros_like(p)
        loss_selector[np.arange(len(y)), y] = 1
        return float(-loss_selector.dot(np.log(p.T))[0, :].sum() / len(y))

    W, X, y = make((30, 5, 4))
    assert noted(W * 1e-6) == pytest.approx(softmax_loss(W * 1e-6, X, y, implementation="numpy")[0], abs=1e-5)
    assert abs(noted(W) - softmax_loss(W, X, y, implementation="numpy")[0]) > 0.01


def test_mistakes_log_of_a_rounded_probability_and_unshifted_exponentials():
    """log(p_y) is −inf once p_y rounds to 0, and exp(1000) is inf; the loss is neither."""
    S, y = np.array([[1000.0, 0.0]]), np.array([1])
    with np.errstate(all="ignore"):
        unshifted = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
        shifted = np.exp(S - S.max()) / np.exp(S - S.max()).sum()
        assert not np.isfinite(-np.log(unshifted[0, 1]))
        assert -np.log(shifted[0, 1]) == np.inf
    assert reference.softmax(S, y)[0].tolist() == [1000.0]


def test_mistake_a_loss_function_that_prints(capfd):
    """Nothing is printed by any implementation."""
    W, X, y = make((30, 5, 4))
    for function in (svm_loss, softmax_loss):
        for name in ("loop", "numpy", "jit"):
            function(W, X, y, implementation=name)
    assert capfd.readouterr() == ("", "")
