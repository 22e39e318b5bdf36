"""What a loss may be asked for besides its value: margins, smoothing, weights, labels to ignore, the reduction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from .arrays import in_range, largest_bits, vector
from .scalars import factor, index, one_of

REDUCTIONS = ("mean", "sum", "none")


class Options(NamedTuple):
    """The options of a loss, checked; the defaults are what asks for nothing."""

    form: str  # which definition of the loss: a name among the table's `forms`
    margin: float = 1.0
    power: int = 1
    label_smoothing: float = 0.0
    sample_weight: np.ndarray | None = None  # (N,) float64, of our own; 0 for samples whose label is to be ignored
    class_weight: np.ndarray | None = None  # (C,) float64, of our own
    reduction: str = "mean"
    normaliser: float = 1.0  # what the sum of the losses is divided by
    asked: frozenset[str] = frozenset()  # the arguments that an implementation has to support


class Asked(NamedTuple):
    """The same as the caller gave them."""

    multiclass: Any = None
    margin: Any = 1.0
    power: Any = 1
    label_smoothing: Any = 0.0
    sample_weight: Any = None
    class_weight: Any = None
    ignore_index: Any = None
    reduction: Any = "mean"


# The names of what an implementation may have or lack.
OPTIONS = Asked._fields


def options(given: Asked, forms: Collection[str], y: np.ndarray, n_classes: int) -> tuple[np.ndarray, Options]:
    """Labels of our own, each within 0 … C − 1, and the options; ignored samples have label 0 and weight 0."""
    own = np.array(y)  # what is checked here cannot be changed by another thread before it is used
    default = form_of_nothing(given, forms)
    if default is not None:
        in_range(own, n_classes)
        return own, _plain(default, len(own))
    default = next(iter(forms))
    form = default if given.multiclass is None else one_of("multiclass", given.multiclass, tuple(forms))
    margin, power, smoothing = _numbers(given)
    reduction = one_of("reduction", given.reduction, REDUCTIONS)
    weights = None if given.sample_weight is None else sample_weights(given.sample_weight, len(own))
    kept = None if given.ignore_index is None else is_kept(own, given.ignore_index)
    if kept is not None:
        weights = leave_out(own, weights, kept)
    in_range(own, n_classes)
    per_class = None if given.class_weight is None else class_weights(given.class_weight, n_classes)
    normaliser = _sum(own, weights, per_class, kept)  # which has to be right whether it is needed or not
    normaliser = normaliser if reduction == "mean" else 1.0
    asked = _asked(
        form != default, margin != 1, power != 1, smoothing != 0,
        given.sample_weight is not None, given.class_weight is not None, kept is not None, reduction != "mean",
    )  # fmt: skip
    return own, Options(form, margin, power, smoothing, weights, per_class, reduction, normaliser, asked)


@cache
def _asked(*asks: bool) -> frozenset[str]:
    """The names of the options that ask for something, which is said for each: a default written out asks nothing."""
    return frozenset(compress(OPTIONS, asks))


@lru_cache
def _plain(form: str, n_samples: int) -> Options:
    """Nothing asked for: made once for many calls."""
    return Options(form, normaliser=float(max(n_samples, 1)))


_MEAN, _DEFAULTS = Asked().reduction, (Asked().margin, Asked().power, Asked().label_smoothing)


def form_of_nothing(given: Asked, forms: Collection[str]) -> str | None:
    """The default form, if all is, at a glance, what it is by default; None where it has to be looked at closely."""
    return default_form(given, forms) if given.sample_weight is given.ignore_index is None else None


def default_form(given: Asked, forms: Collection[str]) -> str | None:
    """The same, but for sample weights and labels to ignore, which may be what they like."""
    reduction, form, default = given.reduction, given.multiclass, next(iter(forms))
    asks_no_more = (
        given.class_weight is None
        and _are_defaults(given)
        and type(reduction) is str
        and reduction == _MEAN
        and (form is None or (type(form) is str and form == default))
    )
    return default if asks_no_more else None


def _are_defaults(given: Asked) -> bool:
    """Whether the margin, the power and the label smoothing are, at a glance, those that ask for nothing."""
    margin, power, smoothing = given.margin, given.power, given.label_smoothing
    types_fit = type(margin) is type(smoothing) is float and type(power) is int
    return types_fit and (margin, power, smoothing) == _DEFAULTS


def _numbers(given: Asked) -> tuple[float, int, float]:
    """The margin, the power and the label smoothing."""
    if _are_defaults(given):
        return _DEFAULTS
    power, smoothing = index("power", given.power), factor("label_smoothing", given.label_smoothing)
    if power not in (1, 2):
        raise ValueError(f"power is {power}: expected 1 or 2")
    if smoothing > 1:
        raise ValueError(f"label_smoothing is {smoothing}: expected a number from 0 to 1")
    return factor("margin", given.margin), power, smoothing


def sample_weights(value: Any, n_samples: int) -> np.ndarray:
    """(N,) float64, finite, none negative."""
    return _weights("sample_weight", vector("sample_weight", value, n_samples, "sample"))


def class_weights(value: Any, n_classes: int) -> np.ndarray:
    """(C,) float64, finite, none negative; classes that a dict does not name weigh 1."""
    if isinstance(value, str):
        hint = " ('balanced' needs a whole data set: Objective has it)" if value == "balanced" else ""
        raise ValueError(f"class_weight is {value!r}: expected an array of {n_classes} weights or a dict{hint}")
    if not isinstance(value, Mapping):
        return _weights("class_weight", vector("class_weight", value, n_classes, "class"))
    weights = np.ones(n_classes)
    for label, weight in value.items():
        position = index("a key of class_weight", label)
        if not 0 <= position < n_classes:
            raise ValueError(f"class_weight names class {position}: expected classes from 0 to {n_classes - 1}")
        weights[position] = factor(f"class_weight[{position}]", weight)
    return weights


_INFINITY = int(np.array(np.inf).view(np.uint64))
# As many of what is smaller as memory holds add up to less than infinity.
_LARGE = int(np.array(1e280).view(np.uint64))


def _weights(name: str, given: np.ndarray) -> np.ndarray:
    weights = np.array(given, np.float64)
    # Read as whole numbers, nothing negative, infinite or NaN is below infinity; of what is right, -0.0 alone is not.
    if weights.size and not largest_bits(weights) < _INFINITY:
        right = (weights >= 0) & (weights < np.inf)
        if not right.all():
            first = int(np.flatnonzero(~right)[0])
            raise ValueError(f"{name}[{first}] is {weights[first]}: expected finite numbers of at least 0")
    return weights


def is_kept(y: np.ndarray, ignored: Any) -> np.ndarray:
    """Which labels are not `ignored`, a whole number; one that their dtype cannot hold is no label of theirs."""
    value = index("ignore_index", ignored)
    if y.dtype == np.int64 and -(1 << 63) <= value < 1 << 63:
        return np.asarray(y != value)
    try:
        label = np.array(value, y.dtype)
    except OverflowError:
        return np.ones(len(y), bool)
    return np.asarray(y != label) if label == value else np.ones(len(y), bool)


def leave_out(own: np.ndarray, weights: np.ndarray | None, kept: np.ndarray) -> np.ndarray:
    """Give what is not `kept` label 0 and weight 0; both arrays are written to. Returns the weights."""
    own *= kept
    return kept.astype(np.float64) if weights is None else np.multiply(weights, kept, out=weights)


def _total(weights: np.ndarray) -> float:
    """The sum of what is not negative; infinity if it is too large, without a warning."""
    if weights.size and largest_bits(weights) >= _LARGE:  # to ask for silence takes longer than to add up a few
        with np.errstate(over="ignore"):
            return float(np.add.reduce(weights))
    return float(np.add.reduce(weights))


def _sum(y: np.ndarray, weights: np.ndarray | None, per_class: np.ndarray | None, kept: np.ndarray | None) -> float:
    """The sum of the samples' weights: finite, and not 0 unless there are none to be `kept`: then 1."""
    if per_class is not None:
        of_labels = per_class[y]
        with np.errstate(over="ignore"):
            weights = of_labels if weights is None else weights * of_labels
    if weights is None:
        return float(max(len(y), 1))
    total = _total(weights)
    if not 0 < total < np.inf:
        if len(y) == 0 or (kept is not None and not kept.any()):
            return 1.0
        raise ValueError(
            f"sample_weight and class_weight sum to {total} over the samples that are not ignored: "
            "expected a finite sum above 0"
        )
    return total
