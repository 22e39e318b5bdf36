"""The vectorised NumPy definition of the two-layer net. Nothing here checks its arguments."""

from __future__ import annotations

import numpy as np

from .reference import softmax


def scores(parameters: dict[str, np.ndarray], X: np.ndarray) -> np.ndarray:
    """relu(X W1 + b1) W2 + b2: one row of scores for each row of X."""
    with np.errstate(invalid="ignore", over="ignore"):
        hidden = X @ parameters["W1"] + parameters["b1"]
        hidden[hidden <= 0] = 0  # not max(0, ·): NaN, which is not <= 0, stays
        return np.asarray(hidden @ parameters["W2"] + parameters["b2"])


def loss(
    parameters: dict[str, np.ndarray], X: np.ndarray, y: np.ndarray, decay: float = 0.0
) -> tuple[float, dict[str, np.ndarray]]:
    """Mean softmax loss plus ``decay`` times the sums of W1² and W2², and its gradients by the parameters' names.

    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 1986.
    """
    W1, b1, W2, b2 = (parameters[name] for name in ("W1", "b1", "W2", "b2"))
    count = max(len(X), 1)
    with np.errstate(invalid="ignore", over="ignore"):
        hidden = X @ W1 + b1
        hidden[hidden <= 0] = 0
        losses, A = softmax(hidden @ W2 + b2, y)
        A /= A.dtype.type(count)
        slopes = A @ W2.T
        slopes[hidden <= 0] = 0
        gradients = {"W1": X.T @ slopes, "b1": slopes.sum(axis=0), "W2": hidden.T @ A, "b2": A.sum(axis=0)}
        value = losses.sum(dtype=np.float64) / count
        if decay:
            for name in ("W1", "W2"):
                value += decay * np.square(parameters[name], dtype=np.float64).sum()
                gradients[name] += A.dtype.type(2 * decay) * parameters[name]
    return float(value), gradients
