"""Linear classifiers trained by stochastic gradient descent on the fused engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import checks
from ...objective import Objective
from ...sgd import descend
from .linear_svm import svm_loss_fused
from .softmax import softmax_loss_fused


class LinearClassifier:
    """Scores are ``X @ W``. A subclass has a `loss`; LinearSVM and Softmax do.

    Parameters
    ----------
    reg_scale : float
        Factor on `reg` in the loss: 1, or 0.5 for the handouts of 2015 and 2016.

    Attributes
    ----------
    W : (D, C) array, or None before the first training
    """

    # The package's loss that a subclass trains on, batch by batch, without copying rows of X; None: its own `loss`.
    _loss_name: str | None = None

    def __init__(self, reg_scale: float = 1.0) -> None:
        self.W: np.ndarray | None = None
        self._reg_scale = reg_scale

    def train(
        self,
        X: np.ndarray,
        y: np.ndarray,
        learning_rate: float = 1e-3,
        reg: float = 1e-5,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
    ) -> list[float]:
        """Stochastic gradient descent; batches are drawn with replacement from NumPy's global random state.

        Parameters
        ----------
        X : (N, D) training samples.
        y : (N,) labels, 0 … C − 1.
        learning_rate, reg : float
        num_iters, batch_size : int
        verbose : bool
            Print the loss every hundredth step.

        Returns
        -------
        list of float
            The loss of each batch. An interrupt goes through; `W` keeps what was learned.
        """
        n_samples, n_features = X.shape
        if self.W is None:
            self.W = 0.001 * np.random.randn(n_features, int(np.max(y)) + 1)  # noqa: NPY002  (the course seeds this one)
        history: list[float] = []
        steps = descend(
            {"W": self.W}, self._gradient_of(X, y, reg),
            lambda: np.random.choice(n_samples, batch_size, replace=True),  # noqa: NPY002
            steps_per_epoch=max(n_samples / batch_size, 1), learning_rate=learning_rate, num_iters=num_iters,
        )  # fmt: skip
        for step in steps:
            history.append(step.loss)
            if verbose and step.number % 100 == 0:
                print(f"iteration {step.number} / {num_iters}: loss {step.loss:f}")
        return history

    def _gradient_of(
        self, X: np.ndarray, y: np.ndarray, reg: float
    ) -> Callable[[np.ndarray], tuple[float, dict[str, np.ndarray]]]:
        """The loss of a batch, and its gradient, by the numbers of its samples."""
        assert self.W is not None
        W = self.W
        if self._loss_name is None or type(self).loss is not _LOSSES[self._loss_name].loss:

            def of_own_loss(indices: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
                loss, dW = self.loss(X[indices], y[indices], reg)
                return loss, {"W": np.array(dW, np.result_type(dW, W))}  # the gradient is theirs, its copy ours

            return of_own_loss
        objective = Objective(X, y, self._loss_name, reg, n_classes=W.shape[1], reg_scale=self._reg_scale)
        dW = np.empty(W.shape, checks.compute_dtype(W, X, None))

        def of_objective(indices: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
            return objective.batch(indices).value_and_grad(W, out=dW)[0], {"W": dW}

        return of_objective

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class (N,) with the largest score for each row of X (N, D)."""
        return np.asarray((X @ self._weights()).argmax(axis=1))

    def _weights(self) -> np.ndarray:
        if self.W is None:
            raise ValueError("W is None: train the classifier first")
        return self.W

    def loss(self, X_batch: np.ndarray, y_batch: np.ndarray, reg: float) -> tuple[float, Any]:
        """The loss and its gradient with respect to W; a subclass defines it."""
        raise NotImplementedError("loss: a subclass of LinearClassifier has to define it")


class LinearSVM(LinearClassifier):
    """The multiclass SVM of Weston and Watkins."""

    _loss_name = "svm"

    def loss(self, X_batch: np.ndarray, y_batch: np.ndarray, reg: float) -> tuple[float, Any]:
        return svm_loss_fused(self._weights(), X_batch, y_batch, reg, self._reg_scale)


class Softmax(LinearClassifier):
    """The softmax classifier."""

    _loss_name = "softmax"

    def loss(self, X_batch: np.ndarray, y_batch: np.ndarray, reg: float) -> tuple[float, Any]:
        return softmax_loss_fused(self._weights(), X_batch, y_batch, reg, self._reg_scale)


_LOSSES: dict[str, type[LinearClassifier]] = {"svm": LinearSVM, "softmax": Softmax}
