"""The table of implementations: what each is, which options it has, and what "auto" picks.

The public functions, the tests, `jitloss compare` and the benchmarks all read this table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import checks, reference
from .checks import Options, Problem, gradient_shape

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
    chosen = IMPLEMENTATIONS.get("fused" if name == "auto" else name) if isinstance(name, str) else None
    if chosen is None:
        checks.unknown("implementation", name, ("auto", *IMPLEMENTATIONS))
    if chosen.options is _EVERY:  # nothing can be lacking
        return chosen
    given = [argument for argument in _ARGUMENTS if getattr(problem, argument) is not None]
    for option in (*sorted(problem.options.asked), *given):
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
    return value, delivered(gradients, problem.out)


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
    return float(value), delivered(gradients, problem.out)


def run_jit(loss: Loss, problem: Problem) -> Result:
    """The same loops, compiled, the rows split into lanes."""
    from jitloss_kernels import lanes

    W, X = (kernel_input(a, problem.dtype) for a in (problem.W, problem.X))
    y = kernel_input(problem.y, _LABELS)
    made = gradient_arrays(problem)
    dW, dX = made.get("W"), made.get("X")
    value = lanes.linear_loss(loss.name, W, X, y, problem.decay, dW, dX, problem.n_threads)
    return value, delivered(list(made.values()), problem.out)


def run_fused(loss: Loss, problem: Problem) -> Result:
    """Register tiles over blocks of rows, X read once."""
    made = gradient_arrays(problem)
    value = fused_loss(problem, block_input(problem.X, problem.dtype), made)
    return value, delivered(list(made.values()), problem.out)


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
        given.form, dtype, (len(y), *W.shape), 1 / given.normaliser, given.margin, given.power, given.label_smoothing,
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
    if X.dtype in _BLOCK_DTYPES and X.flags.aligned:
        return X
    return X.view(np.uint8) if X.dtype == np.bool_ else np.array(X, dtype, order="C")


def gradient_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """An array for each gradient that is wanted, in their order: the caller's where kernels can write to it."""
    W, X, out, dtype = problem.W, problem.X, problem.out, problem.dtype
    if out is None:
        return {name: np.empty(gradient_shape(name, W, X), dtype) for name in problem.wrt}
    return {
        name: np.asarray(place) if place.flags.carray else np.empty(place.shape, dtype)
        for name, place in zip(problem.wrt, out, strict=True)
    }


def delivered(gradients: list[np.ndarray], out: tuple[np.ndarray, ...] | None) -> list[np.ndarray]:
    """The gradients themselves, or the caller's arrays with the gradients in them."""
    if out is None:
        return gradients
    for place, gradient in zip(out, gradients, strict=True):
        if not np.may_share_memory(place, gradient):  # else the kernel has written there already
            place[...] = gradient
    return list(out)
