"""One loss and its gradient: who computes it, and where its data live."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from . import calls

LOSSES = ["svm", "softmax"]
DTYPES = ["float64", "float32"]


@calls.sampled
class Loss:
    """`batch` fits the cache of one core (L2), `dev` that of all of them (L3), `tall` comes from memory."""

    param_names = ["loss", "implementation", "shape", "dtype"]
    params = [LOSSES, ["numpy", "jit", "fused"], ["batch", "dev", "tall"], DTYPES]

    def setup(self, loss, implementation, shape, dtype):
        self.call = calls.loss(loss, implementation, shape, dtype)

    def time_loss(self, loss, implementation, shape, dtype):
        self.call()


@calls.sampled
class OneThread:
    """What more threads are worth."""

    param_names = ["loss", "implementation", "dtype"]
    params = [LOSSES, ["jit", "fused"], DTYPES]

    def setup(self, loss, implementation, dtype):
        self.call = calls.loss(loss, implementation, "dev", dtype, n_threads=1)

    def time_loss(self, loss, implementation, dtype):
        self.call()


@calls.sampled
class Overhead:
    """A problem so small that Python is all there is to see; and the textbook loops, for which all else is large."""

    param_names = ["loss", "implementation"]
    params = [LOSSES, ["loop", "numpy", "jit", "fused"]]

    def setup(self, loss, implementation):
        self.call = calls.loss(loss, implementation, "tiny", "float64")

    def time_tiny(self, loss, implementation):
        self.call()


OPTIONS = {
    "weights": ("softmax", {"sample_weight": np.random.default_rng(1).uniform(0.5, 2, 256)}),
    "ignore_index": ("softmax", {"ignore_index": 3}),
    "label_smoothing": ("softmax", {"label_smoothing": 0.1}),
    "crammer_singer": ("svm", {"multiclass": "crammer_singer"}),
}


@lru_cache
def with_option(option: str):
    loss, asked = OPTIONS[option]
    return calls.make_loss(loss, "auto", "batch", "float64", **asked)


@calls.sampled
class Options:
    """What options cost where Python and rows count most: a batch."""

    param_names = ["option"]
    params = [list(OPTIONS)]

    def setup(self, option):
        self.call = with_option(option)

    def time_batch(self, option):
        self.call()
