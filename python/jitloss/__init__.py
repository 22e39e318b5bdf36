"""The fast way to get a multiclass loss and its gradient on a CPU.

>>> import numpy as np
>>> import jitloss
>>> W = np.zeros((3, 2))                       # 3 features, 2 classes
>>> X = np.array([[1.0, 2.0, 3.0]])            # 1 sample
>>> loss, dW = jitloss.softmax_loss(W, X, [1])
>>> round(loss, 4)
0.6931

Importing this package imports neither numba nor NumPy; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .losses import softmax_loss as softmax_loss
    from .losses import svm_loss as svm_loss
    from .objective import Objective as Objective
    from .runtime import info as info
    from .runtime import warmup as warmup
    from .two_layer import TwoLayerNet as TwoLayerNet

__version__ = "0.1.0"

_HOME = {
    "svm_loss": "losses", "softmax_loss": "losses", "Objective": "objective",
    "TwoLayerNet": "two_layer", "info": "runtime", "warmup": "runtime",
}  # fmt: skip

__all__ = ["Objective", "TwoLayerNet", "info", "softmax_loss", "svm_loss", "warmup"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'jitloss' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
