"""The two-layer net of the second assignment: any shape of input, parameters and regularisation kept in the object."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .neural_net import TwoLayerNet as _Net


class TwoLayerNet:
    """affine – ReLU – affine – softmax, regularised by ``0.5 * reg * sum(W²)``.

    Parameters
    ----------
    input_dim, hidden_dim, num_classes : int
    weight_scale : float
        Standard deviation of the weights at the start.
    reg : float
    reg_scale : float
        Factor on `reg`.

    Attributes
    ----------
    params : dict
        ``W1`` (input_dim, hidden_dim), ``b1``, ``W2`` (hidden_dim, num_classes), ``b2``.
    """

    def __init__(
        self,
        input_dim: int = 3 * 32 * 32,
        hidden_dim: int = 100,
        num_classes: int = 10,
        weight_scale: float = 1e-3,
        reg: float = 0.0,
        reg_scale: float = 0.5,
    ) -> None:
        self._net = _Net(input_dim, hidden_dim, num_classes, weight_scale, reg_scale)
        self.params = self._net.params
        self.reg = reg

    def loss(self, X: np.ndarray, y: np.ndarray | None = None) -> Any:
        """Scores (N, C) without labels; with them the loss, and its gradients by the names of `params`.

        Parameters
        ----------
        X : (N, d_1, …, d_k) samples, flattened to input_dim features each.
        y : (N,) labels.
        """
        self._net.params = self.params  # a solver may have put another dict there
        return self._net.loss(np.reshape(X, (len(X), math.prod(np.shape(X)[1:]))), y, self.reg)
