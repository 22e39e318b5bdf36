"""What everything is divided by: frozen here, so that a change of the package cannot move it.

NumPy was tried in three ways, and ``numpy_loss`` takes whichever was the fastest for the number of classes:

==========================  =============================================================  ===================
``row``                     ``X @ W``, all else in place, ``X.T @ A``                       many classes
``column``                  ``W.T @ X.T``: classes in rows, so that ufuncs run along N      up to 32 classes
plain (`jitloss.reference`) ``X @ W`` with a new array a step                               never the fastest
==========================  =============================================================  ===================
"""

from __future__ import annotations

import time

import numpy as np

COLUMN_CLASSES = 32


def numpy_loss(loss: str, W: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean loss and dW, in the fastest NumPy known for this number of classes."""
    return _LOSSES[loss](W, X, y, W.shape[1] <= COLUMN_CLASSES)


def weighted_loss(
    loss: str, W: np.ndarray, X: np.ndarray, y: np.ndarray, bias: np.ndarray, weights: np.ndarray, ignored: int
) -> tuple[float, np.ndarray]:
    """The same with a bias, (N,) weights of the samples, and a label to be ignored."""
    kept = y != ignored
    factors = weights * kept
    factors /= factors.sum()
    return _LOSSES[loss](W, X, y * kept, W.shape[1] <= COLUMN_CLASSES, bias, factors)


def _scores(W, X, y, column, bias):
    """S with one sample a column or a row, the axis of the classes, and where each label's score stands."""
    samples = np.arange(len(X))
    S = W.T @ X.T if column else X @ W
    if bias is not None:
        S += bias[:, np.newaxis] if column else bias
    return (S, 0, (y, samples)) if column else (S, 1, (samples, y))


def _gradient(A, X, column, factors):
    if factors is None:
        A /= len(X)
    else:
        factors = factors.astype(A.dtype)
        A *= factors if column else factors[:, np.newaxis]
    return (A @ X).T if column else X.T @ A


def _softmax(W, X, y, column, bias=None, factors=None):
    S, axis, label = _scores(W, X, y, column, bias)
    S -= S.max(axis=axis, keepdims=True)
    correct = S[label]
    np.exp(S, out=S)
    normaliser = S.sum(axis=axis, keepdims=True)
    losses = np.log(normaliser).ravel() - correct
    value = float(losses.mean(dtype=np.float64) if factors is None else losses @ factors)
    S /= normaliser
    S[label] -= 1
    return value, _gradient(S, X, column, factors)


def _svm(W, X, y, column, bias=None, factors=None):
    S, axis, label = _scores(W, X, y, column, bias)
    S -= np.expand_dims(S[label] - 1, axis)
    S[label] = 0
    np.maximum(S, 0, out=S)
    value = float(S.sum(dtype=np.float64)) / len(X) if factors is None else float(S.sum(axis=axis) @ factors)
    A = (S > 0).astype(S.dtype)
    A[label] = -A.sum(axis=axis)
    return value, _gradient(A, X, column, factors)


_LOSSES = {"svm": _svm, "softmax": _softmax}


def bandwidth(n_threads: int, n_bytes: int = 1 << 29) -> float:
    """Bytes a second that `n_threads` threads read from memory together: NumPy sums, best of seven."""
    from concurrent.futures import ThreadPoolExecutor

    parts = [np.ones(n_bytes // n_threads // 8) for _ in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        return n_bytes / _best(lambda: list(pool.map(np.sum, parts)))


def product(dtype: str, n: int = 3000) -> float:
    """Flops a second of a square matrix product in NumPy, on as many threads as BLAS has now; best of seven."""
    a, b = np.ones((n, n), dtype), np.ones((n, n), dtype)
    out = np.empty_like(a)
    return 2 * n**3 / _best(lambda: np.matmul(a, b, out=out))


def _best(call) -> float:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
