"""Labels, and what their samples weigh, looked at and copied in one pass.

For a small problem each pass that NumPy makes takes as long as a tenth of all else.
"""

from __future__ import annotations

import numpy as np

from .jit import Kernel

# Of what is larger a sum may be infinite.
_LARGE = 1e280


@Kernel
def take(y, given, ignores, ignored, n_classes, labels, weights):
    """Copy labels, and weights, 1 where none are `given`; if it `ignores` a label, its samples get 0 and 0.

    Returns the address of the weights; 0 if a label that counts is outside 0 … C − 1, or a weight negative, NaN, huge.
    """
    wrong = False
    for i in range(len(y)):
        label, weight = y[i], given[i] if len(given) > 0 else 1.0
        wrong |= not ((weight >= 0) & (weight < _LARGE))
        is_ignored = ignores & (label == ignored)
        label, weight = (0, 0.0) if is_ignored else (label, weight)
        wrong |= (label < 0) | (label >= n_classes)
        labels[i], weights[i] = label, weight
    # Unsigned, numba would make a float64 of an address and 0.
    return np.int64(0) if wrong else np.int64(weights.ctypes.data)
