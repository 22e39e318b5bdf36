"""The vectorised NumPy definition of every loss: short, numerically safe, and what all else is checked against.

With scores ``S = X W + b`` (N, C), a loss is one function of the scores and the labels that returns the loss of each
row and ``A = ∂loss_i / ∂S`` (N, C). The rest is the same for all: ``dL/dW = Xᵀ A / N``, ``dL/db`` is the sum of
the rows of A / N, and ``dL/dX = A Wᵀ / N``.

Nothing here checks its arguments, and nothing is imported but NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

RowLoss = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def linear_loss(
    row_loss: RowLoss,
    W: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    decay: float = 0.0,
    wrt: Sequence[str] = ("W",),
    bias: np.ndarray | None = None,
) -> tuple[float, list[np.ndarray]]:
    """Mean loss of the rows of ``X @ W + bias`` plus ``decay * sum(W * W)``, and its gradients in the order of `wrt`.

    Parameters
    ----------
    row_loss : `svm` or `softmax`.
    W : (D, C) weights.
    X : (N, D) samples, of the same float dtype as `W`.
    y : (N,) integer labels, 0 … C − 1.
    decay : factor on the sum of the squared weights.
    wrt : any of ``"W"``, ``"b"``, ``"X"``.
    bias : (C,) offsets of the scores, of the same dtype; not regularised. None: no offsets.
    """
    count = max(len(X), 1)  # the mean over no samples is 0
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity go in and come out, silently
        losses, A = row_loss(X @ W if bias is None else X @ W + bias, y)
        A /= count
        # In float64 whatever the dtype: a long sum of float32 loses what a loss is compared by.
        loss = losses.sum(dtype=np.float64) / count
        gradients = [X.T @ A if name == "W" else A @ W.T if name == "X" else A.sum(axis=0) for name in wrt]
        if decay:
            loss += decay * np.square(W, dtype=np.float64).sum()
            gradients = [g + 2 * decay * W if name == "W" else g for g, name in zip(gradients, wrt, strict=True)]
    return float(loss), gradients


def svm(S: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over j ≠ y of max(0, s_j − s_y + 1).

    Weston and Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.
    """
    rows = np.arange(len(S))
    correct = S[rows, y]
    margins = S - correct[:, np.newaxis] + 1
    margins[rows, y] = 0
    margins[margins <= 0] = 0  # not max(0, ·): NaN, which is not <= 0, stays
    A = (margins != 0).astype(S.dtype)
    A[rows, y] = -A.sum(axis=1)
    return margins.sum(axis=1) + 0 * correct, A  # NaN where the label's own score is infinite or NaN


def softmax(S: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log Σ_j exp(s_j) − s_y, each row shifted by its largest score so that no exponential overflows.

    Bridle, "Training stochastic model recognition algorithms as networks", NIPS 1989.
    """
    rows = np.arange(len(S))
    S = S - S.max(axis=1, keepdims=True)
    A = np.exp(S)
    normaliser = A.sum(axis=1)
    losses = np.log(normaliser) - S[rows, y]  # never the log of a probability: that may round to 0
    A /= normaliser[:, np.newaxis]
    A[rows, y] -= 1
    return losses, A
