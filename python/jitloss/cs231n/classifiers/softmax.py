"""The softmax loss four times: by loops, by NumPy, by compiled loops, by the fused engine."""

from __future__ import annotations

import numpy as np

from ... import losses


def softmax_loss_naive(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """Loops over samples and classes, NumPy for each row; arguments and results as of `linear_svm.svm_loss_naive`."""
    dW, loss = np.zeros_like(W), 0.0
    for i in range(len(X)):
        scores = X[i] @ W
        scores -= scores.max()  # no exponential overflows
        exponentials = np.exp(scores)
        loss += np.log(exponentials.sum()) - scores[y[i]]
        for j in range(W.shape[1]):
            dW[:, j] += (exponentials[j] / exponentials.sum() - (j == y[i])) * X[i]
    decay, count = reg_scale * reg, max(len(X), 1)
    return float(loss / count + decay * np.sum(W * W)), dW / count + 2 * decay * W


def softmax_loss_vectorized(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by NumPy alone."""
    loss, dW = losses.softmax_loss(W, X, y, reg, reg_scale=reg_scale, implementation="numpy")
    return loss, dW


def softmax_loss_jit(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by compiled loops, in parallel."""
    loss, dW = losses.softmax_loss(W, X, y, reg, reg_scale=reg_scale, implementation="jit")
    return loss, dW


def softmax_loss_fused(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by the fused engine: the fastest."""
    loss, dW = losses.softmax_loss(W, X, y, reg, reg_scale=reg_scale, implementation="fused")
    return loss, dW
