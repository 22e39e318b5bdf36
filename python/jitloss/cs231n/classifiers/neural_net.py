"""The two-layer net of the first assignment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import two_layer


class TwoLayerNet(two_layer.TwoLayerNet):
    """`jitloss.TwoLayerNet` with the course's regulariser, ``reg * sum(W²)``, and NumPy's global random state.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
    std : float
        Standard deviation of the weights at the start; W1 is drawn, then W2.
    reg_scale : float
        Factor on `reg`: 1, or 0.5 for the handouts of 2015 and 2016.
    """

    _reg_scale = 1.0

    def __init__(
        self, input_size: int, hidden_size: int, output_size: int, std: float = 1e-4, reg_scale: float = 1.0
    ) -> None:
        super().__init__(input_size, hidden_size, output_size, std)
        self._reg_scale = reg_scale

    # The course seeds NumPy's global random state.

    def _normal(self, *shape: int) -> np.ndarray:
        return np.random.randn(*shape)  # noqa: NPY002

    def _draw(self, n_samples: int, batch_size: int) -> Callable[[], np.ndarray]:
        return lambda: np.random.choice(n_samples, batch_size)  # noqa: NPY002
