"""svm_loss and softmax_loss: check → choose → call → return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks, reference
from .implementations import choose

Wrt = str | Sequence[str] | None
Out = np.ndarray | Sequence[np.ndarray] | None


def svm_loss(
    W: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    reg: float = 0.0,
    *,
    bias: ArrayLike | None = None,
    reg_scale: float = 0.5,
    wrt: Wrt = None,
    out: Out = None,
    n_threads: int | None = None,
    implementation: str = "auto",
) -> tuple[Any, ...]:
    """Multiclass SVM loss of the scores ``X @ W + bias`` and its gradients; regularised by ``0.5 * reg * sum(W * W)``.

    The factor 0.5 is `reg_scale`: pass ``reg_scale=1.0`` for the course CS231n's handouts from 2018 on.
    With scores s = x W + b, one sample with label y costs

    .. math:: L_i = \\sum_{j \\neq y} \\max(0, s_j - s_y + 1), \\qquad
              \\frac{\\partial L_i}{\\partial s_j} = [s_j - s_y + 1 > 0], \\quad
              \\frac{\\partial L_i}{\\partial s_y} = -\\sum_{j \\neq y} [s_j - s_y + 1 > 0],

    and the loss is the mean over the samples plus ``reg_scale * reg * sum(W * W)``.

    Parameters
    ----------
    W : (D, C) array_like
        Weights, one column a class.
    X : (N, D) array_like
        Samples, one a row; any float or integer dtype of at most 64 bits. N may be 0.
    y : (N,) array_like of integers
        The class of each sample, 0 … C − 1.
    reg : float
        Strength of the L2 regularisation, finite and at least 0.
    bias : (C,) array_like
        Offsets of the scores; not regularised. Default: none.
    reg_scale : float
        Factor on `reg`: 0.5 makes its gradient ``reg * W``.
    wrt : "W", "b", "X", or a tuple of these
        What to differentiate with respect to, and in which order; default ``"W"``, or ``("W", "b")`` with a bias.
        ``()`` computes the loss alone.
    out : array, or a tuple of arrays that matches `wrt`
        Where to write the gradients: of their shape and dtype, overlapping nothing. Default: new arrays.
    n_threads : int
        At most this many threads; default: as many as numba may use. The result is the same to the last bit.
    implementation : {"auto", "fused", "jit", "numpy", "loop"}
        The fused engine ("auto" chooses it), the compiled loops, vectorised NumPy, or the same loops run by Python.

    Returns
    -------
    loss : float
        Accumulated in float64 whatever the dtype.
    *gradients : arrays
        In the order of `wrt`; ``dW`` is (D, C), ``db`` is (C,), ``dX`` is (N, D). float32 when W is float32 and X
        (and bias) is float32, integer or bool; else float64.

    Raises
    ------
    TypeError
        Where an argument is of a kind that cannot be meant: labels that are not integers, complex numbers, …
    ValueError
        Where a value or a shape does not fit: a label outside 0 … C − 1, a negative `reg`, …

    References
    ----------
    J. Weston and C. Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from jitloss import svm_loss
    >>> W = np.array([[1.0, 0.0], [0.0, 1.0]])     # the scores are the samples
    >>> X = np.array([[3.0, 1.0], [0.5, 1.0]])
    >>> loss, dW = svm_loss(W, X, [0, 0])          # 0 and 1.0 - 0.5 + 1
    >>> loss
    0.75
    >>> dW
    array([[-0.25,  0.25],
           [-0.5 ,  0.5 ]])
    """
    return _evaluate("svm", W, X, y, reg, bias, reg_scale, wrt, out, n_threads, implementation)


def softmax_loss(
    W: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    reg: float = 0.0,
    *,
    bias: ArrayLike | None = None,
    reg_scale: float = 0.5,
    wrt: Wrt = None,
    out: Out = None,
    n_threads: int | None = None,
    implementation: str = "auto",
) -> tuple[Any, ...]:
    """Softmax cross entropy of scores ``X @ W + bias`` and its gradients; regularised by ``0.5 * reg * sum(W * W)``.

    The factor 0.5 is `reg_scale`: pass ``reg_scale=1.0`` for the course CS231n's handouts from 2018 on.
    With scores s = x W + b, one sample with label y costs

    .. math:: L_i = \\log \\sum_j e^{s_j} - s_y, \\qquad
              \\frac{\\partial L_i}{\\partial s_j} = p_j - [j = y], \\quad p_j = e^{s_j} / \\sum_k e^{s_k},

    computed with every score shifted by the largest of its row, and the loss is the mean over the samples plus
    ``reg_scale * reg * sum(W * W)``.

    Parameters
    ----------
    W : (D, C) array_like
        Weights, one column a class.
    X : (N, D) array_like
        Samples, one a row; any float or integer dtype of at most 64 bits. N may be 0.
    y : (N,) array_like of integers
        The class of each sample, 0 … C − 1.
    reg : float
        Strength of the L2 regularisation, finite and at least 0.
    bias : (C,) array_like
        Offsets of the scores; not regularised. Default: none.
    reg_scale : float
        Factor on `reg`: 0.5 makes its gradient ``reg * W``.
    wrt : "W", "b", "X", or a tuple of these
        What to differentiate with respect to, and in which order; default ``"W"``, or ``("W", "b")`` with a bias.
        ``()`` computes the loss alone.
    out : array, or a tuple of arrays that matches `wrt`
        Where to write the gradients: of their shape and dtype, overlapping nothing. Default: new arrays.
    n_threads : int
        At most this many threads; default: as many as numba may use. The result is the same to the last bit.
    implementation : {"auto", "fused", "jit", "numpy", "loop"}
        The fused engine ("auto" chooses it), the compiled loops, vectorised NumPy, or the same loops run by Python.

    Returns
    -------
    loss : float
        Accumulated in float64 whatever the dtype.
    *gradients : arrays
        In the order of `wrt`; ``dW`` is (D, C), ``db`` is (C,), ``dX`` is (N, D). float32 when W is float32 and X
        (and bias) is float32, integer or bool; else float64.

    Raises
    ------
    TypeError
        Where an argument is of a kind that cannot be meant: labels that are not integers, complex numbers, …
    ValueError
        Where a value or a shape does not fit: a label outside 0 … C − 1, a negative `reg`, …

    References
    ----------
    J. S. Bridle, "Training stochastic model recognition algorithms as networks can lead to maximum mutual
    information estimation of parameters", NIPS 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from jitloss import softmax_loss
    >>> W, X = np.zeros((4, 2)), np.ones((3, 4))   # two classes, equally likely
    >>> loss, dW, dX = softmax_loss(W, X, [0, 1, 1], wrt=("W", "X"))
    >>> round(loss, 6)                             # log 2
    0.693147
    >>> dW.shape, dX.shape
    ((4, 2), (3, 4))
    """
    return _evaluate("softmax", W, X, y, reg, bias, reg_scale, wrt, out, n_threads, implementation)


def _evaluate(
    loss: str,
    W: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    reg: float,
    bias: ArrayLike | None,
    reg_scale: float,
    wrt: Wrt,
    out: Out,
    n_threads: int | None,
    implementation: str,
) -> tuple[Any, ...]:
    problem = checks.problem(W, X, y, reg, bias, reg_scale, wrt, out, n_threads)
    value, gradients = choose(implementation, problem).run(LOSSES[loss], problem)
    return (value, *gradients)


class Loss(NamedTuple):
    """A loss: its name, also among the kernels, its public function and its NumPy definition."""

    name: str
    function: Callable[..., tuple[Any, ...]]
    reference: reference.RowLoss


LOSSES = {
    "svm": Loss("svm", svm_loss, reference.svm),
    "softmax": Loss("softmax", softmax_loss, reference.softmax),
}
