"""Objective: a loss bound to one data set, for optimisers. What does not change between calls is checked once."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .checks import Asked, Problem
from .implementations import block_input, fused_loss, gradient_arrays
from .losses import LOSSES, Out

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Objective:
    """A loss of ``X @ W + b`` and its gradient as a function of the weights; regularised by ``0.5 * reg * sum(W * W)``.

    The factor 0.5 is `reg_scale`. Labels and weights are checked, and copied, once; `X` is neither copied nor checked
    again, so it should not be changed.

    Parameters
    ----------
    X : (N, D) array_like
        Samples, one a row, as for `softmax_loss`.
    y : (N,) array_like of integers
        The class of each sample, 0 … C − 1.
    loss : {"softmax", "svm"}
    reg : float
        Strength of the L2 regularisation, finite and at least 0.
    fit_intercept : bool
        Whether a bias, not regularised, belongs to the weights.
    n_classes : int
        C; default: one more than the largest label that is not ignored.
    reg_scale : float
        Factor on `reg`; 0.5 by default.
    n_threads : int
        At most this many threads. The result is the same to the last bit.
    **options
        What else the loss takes: `margin`, `power`, `multiclass`, `label_smoothing`, `sample_weight`, `class_weight`,
        `ignore_index`, `reduction` ("mean" or "sum"). ``class_weight="balanced"`` weighs every class by
        ``N / (C · its number of samples)``, counted once, over all labels that are not ignored.

    Attributes
    ----------
    x0 : (D·C,) array, or (D·C + C,) with an intercept
        Zeros to start from, of the dtype that X is computed in.
    shape : (D, C)

    Raises
    ------
    TypeError, ValueError
        As `svm_loss` and `softmax_loss`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.optimize import minimize
    >>> from jitloss import Objective
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1]
    >>> obj = Objective(X, y, reg=0.1, fit_intercept=True)
    >>> found = minimize(obj.fun, obj.x0, jac=True, method="L-BFGS-B")
    >>> W, b = obj.unpack(found.x)
    >>> (X @ W + b).argmax(axis=1)
    array([0, 0, 1, 1])
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: str = "softmax",
        reg: float = 0.0,
        fit_intercept: bool = False,
        *,
        n_classes: int | None = None,
        reg_scale: float = 0.5,
        n_threads: int | None = None,
        **options: Any,
    ) -> None:
        table = LOSSES[checks.one_of("loss", loss, tuple(LOSSES))]
        allowed = table.options | {"sample_weight", "class_weight", "ignore_index", "reduction"}
        for name in options:
            if name not in allowed:
                raise TypeError(f"{name} is no option of loss {loss!r}: expected one of {', '.join(sorted(allowed))}")
        self._X = checks.matrix("X", X)
        labels = checks.labels_of(self._X, y)
        if self._X.shape[1] == 0:
            raise ValueError(f"X of shape {self._X.shape} has no features: at least one is needed")
        n_classes = checks.class_count(n_classes, labels, options.get("ignore_index"))
        if options.get("class_weight") is not None and isinstance(options["class_weight"], str):
            options["class_weight"] = checks.balanced(
                options["class_weight"], labels, n_classes, options.get("ignore_index")
            )
        y_own, self._options = checks.options(Asked(**options), table.forms, labels, n_classes)
        if self._options.reduction == "none":
            raise ValueError("reduction is 'none': an objective is one number, expected 'mean' or 'sum'")
        self._y = y_own.astype(np.int64)
        self._decay = checks.decay(reg, reg_scale)
        self._n_threads = checks.threads(n_threads)
        self._fit_intercept = bool(fit_intercept)
        self._rows: np.ndarray | None = None
        self.shape: tuple[int, int] = (self._X.shape[1], n_classes)
        self._readable: dict[np.dtype[Any], np.ndarray] = {}

    @cached_property
    def _pool(self) -> Any:
        from jitloss_kernels.memory import Pool

        return Pool(keeps_large=True)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_pool"} | {"_readable": {}}

    @property
    def x0(self) -> np.ndarray:
        """Zeros, to start from."""
        single = checks.kind(self._X) == _FLOATS[0]
        return np.zeros(self._size, _FLOATS[0 if single else 1])

    @property
    def _size(self) -> int:
        return self.shape[0] * self.shape[1] + (self.shape[1] if self._fit_intercept else 0)

    def unpack(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The weights (D, C) and the bias (C,), None without an intercept, in a flat array: views of it."""
        w = np.asarray(w)
        if w.shape != (self._size,):
            raise ValueError(f"w has shape {w.shape}: expected ({self._size},)")
        n = self.shape[0] * self.shape[1]
        return w[:n].reshape(self.shape), w[n:] if self._fit_intercept else None

    def fun(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient at `w`, which holds W, then b; the gradient is a new array with every call."""
        W, b = self.unpack(w)
        problem = self._problem(W, b, None)
        gradient = np.empty(self._size, problem.dtype)
        dW, db = self.unpack(gradient)
        made = {"W": dW} if db is None else {"W": dW, "b": db}
        return self._evaluate(problem, made), gradient

    def value_and_grad(self, W: ArrayLike, b: ArrayLike | None = None, out: Out = None) -> tuple[Any, ...]:
        """The loss and its gradients.

        Parameters
        ----------
        W : (D, C) array_like
        b : (C,) array_like
            With an intercept, and only then.
        out : array, or a pair of arrays
            Where to write the gradients. With it nothing of the size of W, y or X is allocated after the first call.

        Returns
        -------
        loss : float
        dW : (D, C) array
        db : (C,) array
            With an intercept.
        """
        problem = self._problem(W, b, out)
        for name, given in zip(problem.wrt, problem.out or (), strict=False):
            if not given.flags.carray:
                raise ValueError(f"out for d{name} is not contiguous: expected an array in C order")
        made = gradient_arrays(problem)
        return (self._evaluate(problem, made), *(problem.out or made.values()))

    def batch(self, indices: ArrayLike) -> Objective:
        """The same objective on some of the samples, in any order, repeated or not; their rows of X are not copied.

        The mean is over these samples; class weights stay what they are for the whole data set.
        """
        rows = np.asarray(indices)
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise TypeError(
                f"indices have dtype {rows.dtype} and shape {rows.shape}: expected integers in one dimension"
            )
        n_samples = len(self._y)
        if rows.size and not (rows.min() >= 0 and rows.max() < n_samples):
            first = int(np.flatnonzero((rows < 0) | (rows >= n_samples))[0])
            raise IndexError(f"indices[{first}] is {rows[first]}: expected 0 … {n_samples - 1}")
        rows = rows.astype(np.int64)
        chosen = object.__new__(Objective)
        chosen.__dict__.update(self.__dict__, _pool=self._pool)
        chosen._y = self._y[rows]
        chosen._options = checks.of_rows(self._options, chosen._y, rows)
        chosen._rows = rows if self._rows is None else self._rows[rows]
        return chosen

    def _problem(self, W: ArrayLike, b: ArrayLike | None, out: Out) -> Problem:
        weights = checks.matrix("W", W)
        if weights.shape != self.shape:
            raise ValueError(f"W has shape {weights.shape}: expected {self.shape}")
        if (b is not None) != self._fit_intercept:
            expected = "a bias, for fit_intercept=True" if self._fit_intercept else "none, for fit_intercept=False"
            raise ValueError(f"b is {'given' if b is not None else 'missing'}: expected {expected}")
        bias = None if b is None else checks.vector("b", b, self.shape[1], "class")
        dtype, names = checks.compute_dtype(weights, self._X, bias), ("W",) if bias is None else ("W", "b")
        inputs = {"W": weights, "X": self._X, "y": self._y} | ({} if bias is None else {"b": bias})
        return Problem(
            weights, self._X, self._y, bias, self._options, dtype, self._decay, names,
            None if out is None else checks.outputs(out, names, inputs, dtype), self._n_threads,
        )  # fmt: skip

    def _evaluate(self, problem: Problem, made: dict[str, np.ndarray]) -> float:
        X = self._readable.get(problem.dtype)
        if X is None:
            X = self._readable[problem.dtype] = block_input(self._X, problem.dtype)
        value = fused_loss(problem, X, made, self._rows, self._pool)
        assert isinstance(value, float)  # the reduction is not "none"
        return value
