"""What the stress command calls: drawn from a seed and a number, so that any case can be run again alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import jitloss
from jitloss.losses import LOSSES

MOST_FLOPS = 5e7
# The wide side of what the kernels promise: sums of some thousand terms of size 1 in another order.
TOLERANCE = {"float64": 1e-11, "float32": 2e-4}
LAYOUTS = ("C", "Fortran", "strided", "backwards", "misaligned", "big-endian", "read-only")


@dataclass
class Case:
    """One call: its function, arguments and options."""

    number: int
    loss: str
    dtype: str
    layout: str
    arguments: tuple[np.ndarray, np.ndarray, np.ndarray]
    options: dict[str, Any]
    calls: dict[str, Any] = field(default_factory=dict)  # what changes no bit: threads, out, implementation

    @property
    def engine(self) -> str:
        """What it is counted as."""
        return str(self.calls.get("implementation", "fused"))

    def __str__(self) -> str:
        W, X, _ = self.arguments
        shape = f"{X.shape[0]}×{X.shape[1]}×{W.shape[1]}"
        asked = ", ".join(f"{k}={'…' if np.ndim(v) else v}" for k, v in (self.options | self.calls).items())
        return f"case {self.number}: {self.loss} {shape} {self.dtype}, X {X.dtype} {self.layout}; {asked}"


def draw(seed: int, number: int) -> Case:
    """Case `number` of the run that began with `seed`."""
    random = np.random.default_rng([seed, number])
    loss, dtype = random.choice(["svm", "softmax"]), random.choice(["float64", "float32"])
    n, d, c = _shape(random)
    W = (random.standard_normal((d, c)) / d**0.5).astype(dtype)
    X = random.standard_normal((n, d)).astype(dtype)
    if random.random() < 0.15:
        X = random.integers(0, 4, (n, d), dtype=np.uint8)
    elif random.random() < 0.15:
        X = X.astype("float32" if dtype == "float64" else "float64")
    y = random.integers(0, c, n)
    options = _options(random, loss, y, c, dtype)
    layout = str(random.choice(LAYOUTS))
    calls: dict[str, Any] = {"n_threads": random.choice([None, 1, 2, 3, 4, 99])}
    if not options.keys() - {"reg", "wrt"} and random.random() < 0.3:
        calls["implementation"] = "jit"
    return Case(number, str(loss), str(dtype), layout, (W, laid_out(X, layout), y), options, calls)


def _shape(random: np.random.Generator) -> tuple[int, int, int]:
    while True:
        n, d, c = (int(x) for x in np.exp(random.uniform(0, np.log([20_000, 4000, 1500]))).round())
        if 4 * n * d * c <= MOST_FLOPS:
            return n - (random.random() < 0.02), d, c


def _options(random: np.random.Generator, loss: str, y: np.ndarray, c: int, dtype: str) -> dict[str, Any]:
    options: dict[str, Any] = {}

    def maybe(share: float = 0.2) -> bool:
        return bool(random.random() < share)

    if maybe():
        options["bias"] = random.standard_normal(c).astype(dtype)
    if loss == "svm":
        if maybe():
            options["margin"] = float(random.uniform(0.1, 3))
        if maybe():
            options["power"] = 2
        if maybe():
            options["multiclass"] = str(random.choice(list(LOSSES["svm"].forms)))
    elif maybe():
        options["label_smoothing"] = float(random.choice([0.05, 0.5, 1.0]))
    if maybe():
        options["sample_weight"] = random.uniform(0, 2, len(y)) + 1e-3
    if maybe():
        options["class_weight"] = random.uniform(0.1, 2, c)
    if maybe() and len(y):
        options["ignore_index"] = -1
        y[random.random(len(y)) < 0.3] = -1
    if maybe():
        options["reduction"] = str(random.choice(["sum", "none"]))
    if options.get("reduction") != "none" and maybe(0.5):
        options["reg"] = 0.01
    names = [name for name in ("W", "b", "X") if (name != "b" or "bias" in options) and maybe(0.6)]
    options["wrt"] = tuple(names)
    return options


def laid_out(X: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers, held in another way."""
    if layout == "Fortran":
        return np.asfortranarray(X)
    if layout == "strided":
        wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
        wide[::2, ::3] = X
        return wide[::2, ::3]
    if layout == "backwards":
        return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]
    if layout == "misaligned":
        memory = np.zeros(X.nbytes + 1, np.uint8)
        found = memory[1:].view(X.dtype).reshape(X.shape)
        found[...] = X
        return found
    if layout == "big-endian":
        return X.astype(X.dtype.newbyteorder(">"))
    if layout == "read-only":
        X = X.copy()
        X.flags.writeable = False
    return X


def run(case: Case, **calls: Any) -> tuple[Any, ...]:
    """Call it; `calls` in the place of the case's own."""
    function = LOSSES[case.loss].function
    return function(*case.arguments, **case.options, **(case.calls | calls))


def mismatch(case: Case, found: tuple[Any, ...]) -> str:
    """What is wrong with a result: far from the float64 reference, or not the bits of one thread and a plain X."""
    W, X, y = case.arguments
    wide = {k: v.astype(np.float64) if getattr(v, "dtype", None) == np.float32 else v for k, v in case.options.items()}
    with np.errstate(all="ignore"):
        expected = LOSSES[case.loss].function(
            W.astype(np.float64), X.astype(np.float64), y, **wide, implementation="numpy"
        )
    for name, a, b in zip(("loss", *case.options["wrt"]), found, expected, strict=True):
        # At a kink of the hinge one rounding moves a whole row of X from one side to the other.
        size = float(np.abs(b).max(initial=0)) + float(np.abs(X).max(initial=0)) * _kinks(case)
        worst = float(np.abs(np.asarray(a, np.float64) - b).max(initial=0))
        if not worst <= TOLERANCE[case.dtype] * max(1.0, size) + (size if _kinks(case) else 0):
            return f"{name} is off by {worst:.3g} where its largest entry is {size:.3g}"
    plain = np.ascontiguousarray(X, X.dtype.newbyteorder("="))
    alone = run(replace(case, arguments=(W, plain, y)), n_threads=1)
    for name, a, b, true in zip(("loss", *case.options["wrt"]), found, alone, expected, strict=True):
        if not np.array_equal(a, b, equal_nan=True):
            return f"{name} has other bits on one thread, for C-ordered X: {difference(a, b, true)}"
    return ""


def difference(a: Any, b: Any, true: Any) -> str:
    """Where two results differ, and how far each is from the truth."""
    a, b, true = (np.atleast_1d(np.asarray(x, np.float64)) for x in (a, b, true))
    where = np.argwhere(a != b)
    off = [float(np.abs(x - true).max()) for x in (a, b)]
    return f"{len(where)} of {a.size} from {where[0]} to {where[-1]}; off by {off[0]:.3g}, alone by {off[1]:.3g}"


def _kinks(case: Case) -> bool:
    """Whether some margin of an SVM is so near 0 that rounding decides."""
    if case.loss != "svm":
        return False
    W, X, y = case.arguments
    S = X.astype(np.float64) @ W.astype(np.float64) + case.options.get("bias", 0)
    margins = S - S[np.arange(len(S)), np.maximum(y, 0)][:, np.newaxis] + case.options.get("margin", 1.0)
    near = TOLERANCE[case.dtype] * max(1.0, float(np.abs(S).max(initial=0)))
    if case.options.get("multiclass") == "crammer_singer" and S.shape[1] > 2:
        top = np.sort(margins, axis=1)
        if (np.diff(top[:, -3:], axis=1) < near).any():
            return True
    return bool(((np.abs(margins) < near) & (np.arange(S.shape[1]) != np.maximum(y, 0)[:, np.newaxis])).any())


def info() -> dict[str, Any]:
    """What the calls run on."""
    return jitloss.info()
