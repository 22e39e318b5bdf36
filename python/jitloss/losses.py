"""svm_loss and softmax_loss: check → choose → call → return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks, plain, reference
from .checks import Asked, Options
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
    margin: float = 1.0,
    power: int = 1,
    multiclass: str = "weston_watkins",
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
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
    margin : float
        By how much the label's score has to exceed the others, finite and at least 0.
    power : {1, 2}
        Exponent of a lacking margin: 1 for the hinge, 2 for the squared hinge.
    multiclass : {"weston_watkins", "crammer_singer"}
        All classes within the margin cost (the course's loss), or the worst of them alone.
    sample_weight : (N,) array_like
        Factor on each sample, finite and at least 0; default: all 1. What weighs 0 counts for nothing, NaN or not.
    class_weight : (C,) array_like, or dict
        Factor on the samples of each class; classes that a dict does not name weigh 1. It multiplies `sample_weight`.
    ignore_index : int
        Samples with this label, which may be outside 0 … C − 1, count for nothing. Default: none.
    reduction : {"mean", "sum", "none"}
        Divide by the sum of the weights; do not; or return the N losses, and the gradients of their sum (`reg` is 0).
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
    loss : float, or (N,) array
        Accumulated in float64 whatever the dtype. With ``reduction="none"`` each sample's, in the gradients' dtype.
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
    K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", JMLR 2001.

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
    asked = Asked(multiclass, margin, power, 0.0, sample_weight, class_weight, ignore_index, reduction)
    return _evaluate("svm", W, X, y, reg, bias, asked, reg_scale, wrt, out, n_threads, implementation)


def softmax_loss(
    W: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    reg: float = 0.0,
    *,
    bias: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | Mapping[int, float] | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
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
    label_smoothing : float
        Share ε, 0 … 1, of the target that is spread evenly over all classes. With class weights v the target of a
        sample is ``t = (1 − ε) v_y onehot(y) + ε v / C``, as in PyTorch.
    sample_weight : (N,) array_like
        Factor on each sample, finite and at least 0; default: all 1. What weighs 0 counts for nothing, NaN or not.
    class_weight : (C,) array_like, or dict
        Factor on the samples of each class; classes that a dict does not name weigh 1. It multiplies `sample_weight`.
    ignore_index : int
        Samples with this label, which may be outside 0 … C − 1, count for nothing. Default: none.
    reduction : {"mean", "sum", "none"}
        Divide by the sum of the weights; do not; or return the N losses, and the gradients of their sum (`reg` is 0).
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
    loss : float, or (N,) array
        Accumulated in float64 whatever the dtype. With ``reduction="none"`` each sample's, in the gradients' dtype.
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
    asked = Asked(None, 1.0, 1, label_smoothing, sample_weight, class_weight, ignore_index, reduction)
    return _evaluate("softmax", W, X, y, reg, bias, asked, reg_scale, wrt, out, n_threads, implementation)


def _evaluate(
    name: str,
    W: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    reg: float,
    bias: ArrayLike | None,
    asked: Asked,
    reg_scale: float,
    wrt: Wrt,
    out: Out,
    n_threads: int | None,
    implementation: str,
) -> tuple[Any, ...]:
    loss = LOSSES[name]
    if out is None:
        form = checks.default_form(asked, loss.forms)
        found = plain.evaluate(
            form, W, X, y, bias, asked.sample_weight, asked.ignore_index, reg, reg_scale, wrt, n_threads, implementation
        )
        if found is not None:
            return found
    problem = checks.problem(W, X, y, reg, bias, asked, loss.forms, reg_scale, wrt, out, n_threads)
    value, gradients = choose(implementation, problem).run(loss, problem)
    return (value, *gradients)


class Form(NamedTuple):
    """One definition of a loss: in NumPy, and under its name among the kernels' ``rows``."""

    reference: reference.RowLoss
    settings: Callable[[Options], dict[str, Any]]  # what the reference has to be told


class Loss(NamedTuple):
    """A loss: its name, its public function, the options that are its own, and its forms, the default first."""

    name: str
    function: Callable[..., tuple[Any, ...]]
    options: frozenset[str]
    forms: dict[str, Form]

    @property
    def reference(self) -> reference.RowLoss:
        """The NumPy definition of the default form."""
        return next(iter(self.forms.values())).reference


def _hinge(options: Options) -> dict[str, Any]:
    return {"margin": options.margin, "power": options.power}


def _targets(options: Options) -> dict[str, Any]:
    return {"smoothing": options.label_smoothing}


LOSSES = {
    "svm": Loss(
        "svm",
        svm_loss,
        frozenset({"margin", "power", "multiclass"}),
        {
            "weston_watkins": Form(reference.weston_watkins, _hinge),
            "crammer_singer": Form(reference.crammer_singer, _hinge),
        },
    ),
    "softmax": Loss(
        "softmax", softmax_loss, frozenset({"label_smoothing"}), {"softmax": Form(reference.softmax, _targets)}
    ),
}
