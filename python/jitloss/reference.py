"""The vectorised NumPy definition of every loss: short, numerically safe, and what all else is checked against.

With scores ``S = X W + b`` (N, C), a loss is one function of the scores and the labels that returns the loss of each
row and ``A = ∂loss_i / ∂S`` (N, C). The rest is the same for all: with the weights of the samples on the rows of A, and
Z their sum, ``dL/dW = Xᵀ A / Z``, ``dL/db`` is the sum of the rows of A / Z, and ``dL/dX = A Wᵀ / Z``.

Nothing here checks its arguments, and nothing is imported but NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

RowLoss = Callable[..., tuple[np.ndarray, np.ndarray]]


def linear_loss(
    row_loss: RowLoss,
    W: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    decay: float = 0.0,
    wrt: Sequence[str] = ("W",),
    bias: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
    class_weight: np.ndarray | None = None,
    reduction: str = "mean",
    settings: Mapping[str, Any] | None = None,
) -> tuple[Any, list[np.ndarray]]:
    """Mean loss of the rows of ``X @ W + bias`` plus ``decay * sum(W * W)``, and its gradients in the order of `wrt`.

    Parameters
    ----------
    row_loss : `weston_watkins`, `crammer_singer` or `softmax`.
    W : (D, C) weights.
    X : (N, D) samples, of the same float dtype as `W`.
    y : (N,) integer labels, 0 … C − 1.
    decay : factor on the sum of the squared weights.
    wrt : any of ``"W"``, ``"b"``, ``"X"``.
    bias : (C,) offsets of the scores, of the same dtype; not regularised. None: no offsets.
    sample_weight : (N,) factors on the samples, 0 for labels to ignore. None: all 1.
    class_weight : (C,) factors on the samples of each class. None: all 1.
    reduction : ``"mean"`` divides by the sum of the weights; ``"sum"`` does not; ``"none"`` returns each sample's loss,
        and the gradients of their sum.
    settings : what else `row_loss` takes, by name.
    """
    settings = settings or {}
    kept = _kept(y, sample_weight, class_weight, settings.get("smoothing", 0.0))
    if not kept.all():  # rows without weight are left out: 0 times NaN is NaN
        weights = sample_weight if sample_weight is None else sample_weight[kept]
        loss, gradients = linear_loss(
            row_loss, W, X[kept], y[kept], decay, wrt, bias, weights, class_weight, reduction, settings
        )
        gradients = [_spread(g, kept) if name == "X" else g for g, name in zip(gradients, wrt, strict=True)]
        return (loss if isinstance(loss, float) else _spread(loss, kept)), gradients

    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    total = 1.0
    if reduction == "mean":  # the mean over nothing is 0
        total = float((weights if class_weight is None else weights * class_weight[y]).sum()) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity go in and come out, silently
        losses, A = row_loss(X @ W if bias is None else X @ W + bias, y, class_weight, **settings)
        if sample_weight is None:
            A /= A.dtype.type(total)
        else:
            losses = losses * sample_weight
            A *= (sample_weight / total)[:, np.newaxis].astype(A.dtype)
        gradients = [X.T @ A if name == "W" else A @ W.T if name == "X" else A.sum(axis=0) for name in wrt]
        if reduction == "none":
            return losses.astype(W.dtype), gradients
        # In float64 whatever the dtype: a long sum of float32 loses what a loss is compared by.
        loss = losses.sum(dtype=np.float64) / total
        if decay:
            loss += decay * np.square(W, dtype=np.float64).sum()
            gradients = [g + 2 * decay * W if name == "W" else g for g, name in zip(gradients, wrt, strict=True)]
    return float(loss), gradients


def _kept(
    y: np.ndarray, sample_weight: np.ndarray | None, class_weight: np.ndarray | None, smoothing: float
) -> np.ndarray:
    """Which rows count for anything."""
    kept = np.ones(len(y), bool) if sample_weight is None else sample_weight != 0
    if class_weight is None:
        return kept
    targets = (1 - smoothing) * class_weight[y] + smoothing * class_weight.mean()
    return np.asarray(kept & (targets != 0))


def _spread(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """`rows` where they are `kept`, zeros elsewhere."""
    whole = np.zeros((len(kept), *rows.shape[1:]), rows.dtype)
    whole[kept] = rows
    return whole


def weston_watkins(
    S: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None = None, margin: float = 1.0, power: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Sum over j ≠ y of max(0, s_j − s_y + margin)^power.

    Weston and Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.
    """
    rows = np.arange(len(S))
    correct = S[rows, y]
    hinges = S - correct[:, np.newaxis] + S.dtype.type(margin)
    hinges[rows, y] = 0
    hinges[hinges <= 0] = 0  # not max(0, ·): NaN, which is not <= 0, stays
    A = (hinges != 0).astype(S.dtype) if power == 1 else 2 * hinges
    A[rows, y] = -A.sum(axis=1)
    losses = (hinges if power == 1 else np.square(hinges, dtype=np.float64)).sum(axis=1)
    return _of_class(losses + 0 * correct, A, y, class_weight)  # NaN where the label's own score is infinite or NaN


def crammer_singer(
    S: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None = None, margin: float = 1.0, power: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """max over j ≠ y of max(0, s_j − s_y + margin)^power, differentiated at the first j that attains it.

    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", JMLR 2001.
    """
    rows = np.arange(len(S))
    correct = S[rows, y]
    lacking = S - correct[:, np.newaxis] + S.dtype.type(margin)
    lacking[rows, y] = -np.inf
    worst = lacking.argmax(axis=1)  # the first of the largest; NaN counts as larger than all
    hinge = np.where(lacking[rows, worst] <= 0, 0, lacking[rows, worst])
    slope = (hinge != 0).astype(S.dtype) if power == 1 else 2 * hinge
    A = np.zeros_like(S)
    A[rows, worst] = slope
    A[rows, y] = -slope  # in a single class, its own worst, nothing is lacking
    losses = hinge if power == 1 else np.square(hinge, dtype=np.float64)
    return _of_class(losses + 0 * correct, A, y, class_weight)  # NaN where the label's own score is infinite or NaN


def softmax(
    S: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None = None, smoothing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """log Σ_j exp(s_j) − s_y, each row shifted by its largest score so that no exponential overflows.

    With smoothing ε the label is one target among others: ``t = (1 − ε) v_y onehot(y) + ε v / C`` with class weights v,
    and the loss is ``Σ_c t_c (log Σ_j exp(s_j) − s_c)``.

    Bridle, "Training stochastic model recognition algorithms as networks", NIPS 1989.
    Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016 (smoothing).
    """
    rows = np.arange(len(S))
    S = S - S.max(axis=1, keepdims=True)
    A = np.exp(S)
    normaliser = A.sum(axis=1)
    A /= normaliser[:, np.newaxis]
    if smoothing:
        weights = np.ones(S.shape[1]) if class_weight is None else class_weight
        T = np.tile(smoothing / S.shape[1] * weights, (len(S), 1))
        T[rows, y] += (1 - smoothing) * weights[y]
        losses = (T * (np.log(normaliser)[:, np.newaxis] - S)).sum(axis=1)
        return losses, (T.sum(axis=1, keepdims=True) * A - T).astype(S.dtype)
    losses = np.log(normaliser) - S[rows, y]  # never the log of a probability: that may round to 0
    A[rows, y] -= 1
    return _of_class(losses, A, y, class_weight)


def _of_class(
    losses: np.ndarray, A: np.ndarray, y: np.ndarray, class_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The losses and their derivatives, each row times the weight of its class."""
    if class_weight is None:
        return losses, A
    return losses * class_weight[y], A * class_weight[y, np.newaxis].astype(A.dtype)
