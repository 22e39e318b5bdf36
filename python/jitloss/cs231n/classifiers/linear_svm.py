"""The multiclass SVM loss four times: by loops, by NumPy, by compiled loops, by the fused engine."""

from __future__ import annotations

import numpy as np

from ... import losses


def svm_loss_naive(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """Loops over samples and classes, NumPy for each row.

    Parameters
    ----------
    W : (D, C) weights.
    X : (N, D) samples.
    y : (N,) labels, 0 … C − 1.
    reg : strength of the regularisation.
    reg_scale : factor on `reg`; 0.5 in the handouts of 2015 and 2016.

    Returns
    -------
    loss : float
    dW : (D, C) array
    """
    dW, loss = np.zeros_like(W), 0.0
    for i in range(len(X)):
        scores = X[i] @ W
        for j in range(W.shape[1]):
            margin = scores[j] - scores[y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    decay, count = reg_scale * reg, max(len(X), 1)
    return float(loss / count + decay * np.sum(W * W)), dW / count + 2 * decay * W


def svm_loss_vectorized(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by NumPy alone."""
    loss, dW = losses.svm_loss(W, X, y, reg, reg_scale=reg_scale, implementation="numpy")
    return loss, dW


def svm_loss_jit(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by compiled loops, in parallel."""
    loss, dW = losses.svm_loss(W, X, y, reg, reg_scale=reg_scale, implementation="jit")
    return loss, dW


def svm_loss_fused(
    W: np.ndarray, X: np.ndarray, y: np.ndarray, reg: float, reg_scale: float = 1.0
) -> tuple[float, np.ndarray]:
    """The same by the fused engine: the fastest."""
    loss, dW = losses.svm_loss(W, X, y, reg, reg_scale=reg_scale, implementation="fused")
    return loss, dW
