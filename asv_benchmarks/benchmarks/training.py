"""What is built on the losses: a net, an objective for optimisers, an epoch of gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from . import calls, problems

REG = 1e-3


@lru_cache
def net(dtype: str) -> Callable[[], object]:
    """Loss and gradients of a net on one batch, as in the course."""
    try:
        from jitloss import TwoLayerNet
    except ImportError as error:
        raise calls.lacking(error) from error
    _, X, y = problems.generated((200, 3072, 10), dtype)
    model = TwoLayerNet(3072, 50, 10, std=1e-2, rng=0, dtype=dtype)
    model.loss(X, y, REG)
    return lambda: model.loss(X, y, REG)


@lru_cache
def objective() -> Callable[[], object]:
    """One evaluation for an optimiser."""
    try:
        from jitloss import Objective
    except ImportError as error:
        raise calls.lacking(error) from error
    W, X, y = problems.named("tall", "float64")
    made = Objective(X, y, "softmax", REG, n_threads=calls.N_THREADS)
    w = W.ravel()
    made.fun(w)
    return lambda: made.fun(w)


@lru_cache
def epoch(model: str) -> Callable[[], object]:
    """A hundred batches of 200 samples, drawn with replacement: 20000 samples."""
    try:
        from jitloss.cs231n import classifiers
    except ImportError as error:
        raise calls.lacking(error) from error
    _, X, y = problems.named("tall", "float64")

    def call() -> object:
        np.random.seed(0)  # noqa: NPY002 – the course draws from here
        return getattr(classifiers, model)().train(X, y, num_iters=100, batch_size=200)

    call()
    return call


@calls.sampled
class Net:
    """200×3072, 50 hidden units, 10 classes."""

    param_names = ["dtype"]
    params = [["float64", "float32"]]

    def setup(self, dtype):
        self.call = net(dtype)

    def time_loss(self, dtype):
        self.call()


@calls.sampled
class Objective:
    """Loss and a fresh gradient of `tall` in float64, as SciPy asks for them."""

    def setup(self):
        self.call = objective()

    def time_fun(self):
        self.call()


@calls.sampled
class Epoch:
    """Gradient descent over 20000 samples."""

    param_names = ["model"]
    params = [["LinearSVM", "Softmax"]]

    def setup(self, model):
        self.call = epoch(model)

    def time_epoch(self, model):
        self.call()
