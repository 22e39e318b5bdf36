"""The regulariser: the sum of W², and its gradient."""

from __future__ import annotations

import numpy as np

from .jit import merged


@merged
def regularise(W, start, stop, twice_decay, dW, want_w):
    """The sum of W² of the items from `start` to `stop`; what they add to dW is added if that is wanted."""
    squares = 0.0
    weights = W[start:stop]
    for k in range(len(weights)):
        squares += np.float64(weights[k]) * np.float64(weights[k])
    if want_w:
        gradient = dW[start:stop]
        for k in range(len(gradient)):
            gradient[k] += twice_decay * weights[k]
    return squares
