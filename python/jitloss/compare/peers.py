"""Other libraries, called the way their users call them; threads are set to the same number as ours."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from .cases import Case
from .contenders import Answer, Call, Contender


def prepare_sklearn(loss: str, case: Case, n_threads: int) -> Call:
    """The loss behind scikit-learn's LogisticRegression; it has no multiclass hinge loss with a gradient."""
    from sklearn._loss import HalfMultinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    n_classes = case.W.shape[1]
    model = LinearModelLoss(base_loss=HalfMultinomialLoss(n_classes=n_classes), fit_intercept=False)
    coefficients, y = np.asfortranarray(case.W.T), case.y.astype(case.X.dtype)

    def call() -> Answer:
        loss, gradient = model.loss_gradient(coefficients, case.X, y, n_threads=n_threads)
        return float(loss), gradient.reshape(n_classes, -1, order="F").T

    return call


def prepare_torch(loss: str, case: Case, n_threads: int) -> Call:
    """linear, then cross_entropy or multi_margin_loss (which divides by C), and backward."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(n_threads)
    if torch.get_num_threads() != n_threads:
        raise RuntimeError(f"PyTorch would not run on {n_threads} threads")
    W = torch.tensor(np.ascontiguousarray(case.W.T), requires_grad=True)
    X, y = torch.from_numpy(case.X), torch.from_numpy(case.y)
    factor = 1 if loss == "softmax" else case.W.shape[1]
    criterion = functional.cross_entropy if loss == "softmax" else functional.multi_margin_loss

    def call() -> Answer:
        W.grad = None
        value = criterion(functional.linear(X, W), y) * factor
        value.backward()
        assert W.grad is not None
        return value.item(), W.grad.numpy().T

    return call


def prepare_jax(loss: str, case: Case, n_threads: int) -> Call:
    """jit(value_and_grad) of the textbook formula; JAX takes every core it finds."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def mean_loss(W: jax.Array, X: jax.Array, y: jax.Array) -> jax.Array:
        S = X @ W
        correct = jnp.take_along_axis(S, y[:, None], axis=1)
        if loss == "softmax":
            return (jax.nn.logsumexp(S, axis=1) - correct[:, 0]).mean()
        return (jnp.maximum(S - correct + 1, 0).sum(axis=1) - 1).mean()  # the label's own term is 1

    compiled = jax.jit(jax.value_and_grad(mean_loss))
    W, X, y = jnp.asarray(case.W), jnp.asarray(case.X), jnp.asarray(case.y)

    def call() -> Answer:
        value, gradient = compiled(W, X, y)
        return float(value), np.asarray(gradient)

    return call


PEERS = {
    "sklearn": Contender("sklearn", "scikit-learn LinearModelLoss", prepare_sklearn, losses=("softmax",)),
    "torch": Contender("torch", "PyTorch, with backward", prepare_torch, on_numpy=False),
    "jax": Contender("jax", "JAX, jit(value_and_grad)", prepare_jax, on_numpy=False),
}


def installed(name: str) -> bool:
    return find_spec(name) is not None
