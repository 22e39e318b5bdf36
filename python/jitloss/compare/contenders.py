"""Who competes: the rows of the table of implementations, and the course's naive way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..cs231n.classifiers.linear_svm import svm_loss_naive
from ..cs231n.classifiers.softmax import softmax_loss_naive
from ..implementations import IMPLEMENTATIONS
from ..losses import LOSSES
from .cases import Case
from .tuned import softmax_tuned, svm_tuned

Answer = tuple[float, np.ndarray]  # the mean loss, and dW (D, C)
Call = Callable[[], Answer]


class Contender(NamedTuple):
    """One way to compute a loss and dW."""

    name: str
    says: str
    prepare: Callable[[str, Case, int], Call]  # (loss, case, threads) -> what is timed
    interpreted: bool = False  # loops over samples in Python: runs on as many rows as the time allows
    cached: bool = False  # compiles, and keeps what it compiled on disk
    losses: tuple[str, ...] = tuple(LOSSES)
    on_numpy: bool = True  # allocates through NumPy, so that its memory can be counted


def prepare_implementation(name: str) -> Callable[[str, Case, int], Call]:
    """The public function, called as a user would."""

    def prepare(loss: str, case: Case, n_threads: int) -> Call:
        function = LOSSES[loss].function
        options: dict[str, Any] = {"implementation": name}
        if "n_threads" in IMPLEMENTATIONS[name].options:
            options["n_threads"] = n_threads
        return lambda: function(case.W, case.X, case.y, **options)

    return prepare


NAIVE: dict[str, Callable[..., Answer]] = {
    "svm": partial(svm_loss_naive, reg=0.0),
    "softmax": partial(softmax_loss_naive, reg=0.0),
}
TUNED = {"svm": svm_tuned, "softmax": softmax_tuned}


def prepare_plain(functions: dict[str, Callable[..., Answer]]) -> Callable[[str, Case, int], Call]:
    """A plain function of (W, X, y) for each loss."""
    return lambda loss, case, n_threads: lambda: functions[loss](case.W, case.X, case.y)


def own() -> list[Contender]:
    """Everything this package can do, slowest first, and the naive way."""
    rows = [
        Contender(
            name, row.says, prepare_implementation(name), interpreted=name == "loop", cached=name in ("jit", "fused")
        )
        for name, row in IMPLEMENTATIONS.items()
    ]
    rows.insert(1, Contender("naive", "loops, NumPy for each row", prepare_plain(NAIVE), interpreted=True))
    rows.insert(3, Contender("tuned", "NumPy written for speed", prepare_plain(TUNED)))
    return rows


def by_name(name: str) -> Contender:
    """One of ours, or a peer."""
    from . import peers

    found = {row.name: row for row in own()}
    return found[name] if name in found else peers.PEERS[name]
