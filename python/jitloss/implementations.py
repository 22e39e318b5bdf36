"""The table of implementations: what each is, which options it has, and what "auto" picks.

The public functions, the tests, `jitloss compare` and the benchmarks all read this table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import checks, reference
from .checks import Options, Problem

if TYPE_CHECKING:
    from .losses import Loss

_LABELS = np.dtype(np.int64)
_BLOCK_DTYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint8))

Result = tuple[float | np.ndarray, list[np.ndarray]]


class Implementation(NamedTuple):
    """One way to compute a loss."""

    name: str
    says: str  # what it is, in a few words
    run: Callable[[Loss, Problem], Result]
    options: frozenset[str] = frozenset()


def choose(name: str, problem: Problem) -> Implementation:
    """The implementation called `name`, or what "auto" stands for; ValueError if it lacks an option asked for."""
    checks.one_of("implementation", name, ("auto", *IMPLEMENTATIONS))
    chosen = IMPLEMENTATIONS["fused" if name == "auto" else name]
    asked = problem.options.asked
    if chosen.options is _EVERY:  # nothing can be lacking
        return chosen
    for option in (*sorted(asked), *(option for option in _ARGUMENTS if getattr(problem, option) is not None)):
        if option not in chosen.options:
            checks.lacking(option, name, ["auto", *supporting(option)])
    return chosen


def supporting(*options: str) -> list[str]:
    """The names of the implementations that have all these options."""
    return [row.name for row in IMPLEMENTATIONS.values() if row.options.issuperset(options)]


def run_numpy(loss: Loss, problem: Problem) -> Result:
    """The reference."""
    W, X = (np.asarray(a, problem.dtype) for a in (problem.W, problem.X))
    bias = None if problem.bias is None else np.asarray(problem.bias, problem.dtype)
    form, given = loss.forms[problem.options.form], problem.options
    value, gradients = reference.linear_loss(
        form.reference, W, X, problem.y, problem.decay, problem.wrt, bias,
        given.sample_weight, given.class_weight, given.reduction, form.settings(given),
    )  # fmt: skip
    return value, [deliver(g, out) for g, out in zip(gradients, problem.out, strict=True)]


def run_loop(loss: Loss, problem: Problem) -> Result:
    """The textbook loops as Python runs them, over all rows at once."""
    from jitloss_kernels import loops

    W, X = (np.asarray(a, problem.dtype) for a in (problem.W, problem.X))
    Wt, count = np.ascontiguousarray(W.T), max(len(X), 1)
    dWt = np.zeros_like(Wt) if "W" in problem.wrt else np.empty((0, 0), W.dtype)
    dX = np.empty_like(X) if "X" in problem.wrt else np.empty((0, 0), W.dtype)
    scores, rows = np.empty(len(Wt), W.dtype), loops.ROWS[loss.name]
    with np.errstate(invalid="ignore", over="ignore"):
        total = rows(Wt, X, problem.y, 0, len(X), W.dtype.type(1 / count), scores, dWt, dX)
        value, dW = total / count, np.ascontiguousarray(dWt.T)
        if problem.decay:
            value += problem.decay * np.square(W, dtype=np.float64).sum()
            dW = dW + 2 * problem.decay * W if len(dW) else dW
    gradients = [dW if name == "W" else dX for name in problem.wrt]
    return float(value), [deliver(g, out) for g, out in zip(gradients, problem.out, strict=True)]


def run_jit(loss: Loss, problem: Problem) -> Result:
    """The same loops, compiled, the rows split into lanes."""
    from jitloss_kernels import lanes

    W, X = (kernel_input(a, problem.dtype) for a in (problem.W, problem.X))
    y = kernel_input(problem.y, _LABELS)
    made = gradient_arrays(problem)
    dW, dX = made.get("W"), made.get("X")
    value = lanes.linear_loss(loss.name, W, X, y, problem.decay, dW, dX, problem.n_threads)
    return value, [deliver(made[name], out) for name, out in zip(problem.wrt, problem.out, strict=True)]


def run_fused(loss: Loss, problem: Problem) -> Result:
    """Register tiles over blocks of rows, X read once."""
    made = gradient_arrays(problem)
    value = fused_loss(problem, block_input(problem.X, problem.dtype), made)
    return value, [deliver(made[name], out) for name, out in zip(problem.wrt, problem.out, strict=True)]


def fused_loss(
    problem: Problem, X: np.ndarray, made: dict[str, np.ndarray], rows: np.ndarray | None = None, pool: Any = None
) -> float | np.ndarray:
    """The loss by the fused engine; gradients are written to the arrays `made` for them, by name.

    `X` is the problem's as ``block_input`` returns it. With `rows`, X[rows] counts in its place. Scratch comes from a
    `pool` of ``jitloss_kernels.memory``.
    """
    dtype, given = problem.dtype, problem.options
    W, y = fit(problem.W, dtype), fit(problem.y, _LABELS)
    bias = None if problem.bias is None else fit(problem.bias, dtype)
    losses = np.zeros(len(y), dtype) if given.reduction == "none" else None
    if given.normaliser < _SMALLEST_SUM:  # its reciprocal would be infinite
        given = _enlarged(given)
    options, arrays = _fused().options_of(
        given.form, dtype, 1 / given.normaliser, given.margin, given.power, given.label_smoothing,
        given.class_weight, given.sample_weight, losses, W.shape[1],
    )  # fmt: skip
    more = {} if pool is None else {"rows": rows, "pool": pool}
    engine = _fused().linear_loss
    data, decay = engine(given.form, W, X, y, bias, options, arrays, problem.decay, made, problem.n_threads, **more)
    if "X" in made and not options.plain:
        made["X"][_weightless(given, y)] = 0  # also where W is not finite
    return losses if losses is not None else float(data / given.normaliser + decay)


@cache
def _fused() -> Any:
    """The engine, imported with the first call that needs it."""
    from jitloss_kernels import fused

    return fused


# The options that are arguments of their own in a Problem; the others are found in its `options`.
_ARGUMENTS = ("n_threads", "bias")
_ALL = frozenset(checks.OPTIONS) | {"bias"}
_EVERY = _ALL | {"n_threads"}

IMPLEMENTATIONS = {
    row.name: row
    for row in (
        Implementation("loop", "plain Python loops", run_loop),
        Implementation("numpy", "vectorised NumPy", run_numpy, _ALL),
        Implementation("jit", "the same loops, compiled", run_jit, frozenset({"n_threads"})),
        Implementation("fused", "tiles in registers, X read once", run_fused, _EVERY),
    )
}


def fit(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """`array` in `dtype`, C-contiguous and aligned; copied only where it is not so."""
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous and flags.aligned:
        return array
    return np.array(array, dtype, order="C")


def kernel_input(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """`array` as numba's dispatcher is given it: fit, and read-only whether the caller may write or not: one type."""
    view = fit(array, dtype).view()
    view.flags.writeable = False
    return view


_SMALLEST_SUM, _LARGE = 1e-300, 2.0**600


def _enlarged(given: Options) -> Options:
    """The same with all weights, and their sum, a power of two larger."""
    if given.sample_weight is not None:
        given = given._replace(sample_weight=given.sample_weight * _LARGE)
    elif given.class_weight is not None:
        given = given._replace(class_weight=given.class_weight * _LARGE)
    return given._replace(normaliser=given.normaliser * _LARGE)


def _weightless(given: Options, y: np.ndarray) -> np.ndarray:
    """Which samples count for nothing."""
    found = np.zeros(len(y), bool) if given.sample_weight is None else given.sample_weight == 0
    if given.class_weight is None:
        return found
    spread = given.label_smoothing * given.class_weight.mean()
    return np.asarray(found | ((1 - given.label_smoothing) * given.class_weight + spread == 0)[y])


def block_input(X: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """X as the fused engine reads it, block by block: as it lies, if it is float32, float64 or uint8 in any layout."""
    if X.dtype == np.bool_:
        X = X.view(np.uint8)
    return X if X.dtype in _BLOCK_DTYPES and X.flags.aligned else np.array(X, dtype, order="C")


def gradient_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """An array for each gradient that is wanted: the caller's where kernels can write to it."""
    made = {}
    for name, out in zip(problem.wrt, problem.out, strict=True):
        usable = out is not None and out.flags.carray
        shape = checks.gradient_shape(name, problem.W, problem.X)
        made[name] = np.asarray(out) if usable else np.empty(shape, problem.dtype)
    return made


def deliver(gradient: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """The gradient itself, or the caller's array with the gradient in it."""
    if out is None or out is gradient:
        return gradient
    if not np.may_share_memory(out, gradient):  # else the kernel has written into `out` already
        out[...] = gradient
    return out
