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
    return {"svm": _svm, "softmax": _softmax}[loss](W, X, y, W.shape[1] <= COLUMN_CLASSES)


def _scores(W, X, y, column):
    """S with one sample a column or a row, the axis of the classes, and where each label's score stands."""
    samples = np.arange(len(X))
    return (W.T @ X.T, 0, (y, samples)) if column else (X @ W, 1, (samples, y))


def _gradient(A, X, column):
    A /= len(X)
    return (A @ X).T if column else X.T @ A


def _softmax(W, X, y, column):
    S, axis, label = _scores(W, X, y, column)
    S -= S.max(axis=axis, keepdims=True)
    correct = S[label]
    np.exp(S, out=S)
    normaliser = S.sum(axis=axis, keepdims=True)
    value = float((np.log(normaliser).ravel() - correct).mean(dtype=np.float64))
    S /= normaliser
    S[label] -= 1
    return value, _gradient(S, X, column)


def _svm(W, X, y, column):
    S, axis, label = _scores(W, X, y, column)
    S -= np.expand_dims(S[label] - 1, axis)
    S[label] = 0
    np.maximum(S, 0, out=S)
    value = float(S.sum(dtype=np.float64)) / len(X)
    A = (S > 0).astype(S.dtype)
    A[label] = -A.sum(axis=axis)
    return value, _gradient(A, X, column)


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
