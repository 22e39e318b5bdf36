"""TwoLayerNet: input – fully connected – ReLU – fully connected – softmax, trained by SGD."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import checks, reference_net
from .files import save_arrays, write_whole
from .implementations import block_input, fit
from .sgd import descend, drawn

PARAMETERS = ("W1", "b1", "W2", "b2")
_LABELS = np.dtype(np.int64)


class TwoLayerNet:
    """A two-layer net with a ReLU between and a softmax loss; both weights regularised by ``0.5 * reg * sum(W²)``.

    With ``h = max(0, X W1 + b1)`` the scores are ``h W2 + b2``. A block of rows goes through both layers and back while
    it is in cache, and results are the same to the last bit for any number of threads.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        D, H and C, each at least 1.
    std : float
        Standard deviation of the normal weights at the start; biases start at 0.
    rng : numpy.random.Generator, or seed
        Where weights, and later batches, are drawn from.
    dtype : float64 or float32
        Of the parameters, and of all arithmetic; integers, bool and float32 in X fit either.

    Attributes
    ----------
    params : dict
        ``W1`` (D, H), ``b1`` (H,), ``W2`` (H, C), ``b2`` (C,).
    history : dict
        Of the last call of `train`, also if that was interrupted: ``loss_history`` (each batch's loss),
        ``train_acc_history`` and ``val_acc_history`` (of the batch and of the validation set, once an epoch).

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 1986.

    Examples
    --------
    >>> import numpy as np
    >>> from jitloss import TwoLayerNet
    >>> net = TwoLayerNet(4, 10, 3, std=1e-1, rng=0)
    >>> X, y = np.eye(4), [0, 1, 2, 2]
    >>> loss, grads = net.loss(X, y, reg=0.1)
    >>> {name: grad.shape for name, grad in grads.items()}
    {'W1': (4, 10), 'b1': (10,), 'W2': (10, 3), 'b2': (3,)}
    >>> history = net.train(X, y, X, y, learning_rate=1.0, num_iters=200)
    >>> net.predict(X)
    array([0, 1, 2, 2])
    """

    _reg_scale = 0.5

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        std: float = 1e-4,
        *,
        rng: Any = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "output_size": output_size}
        n_features, n_hidden, n_outputs = (checks.at_least(1, name, size) for name, size in sizes.items())
        std, kind = checks.factor("std", std), checks.float_dtype("dtype", dtype)
        self._random = np.random.default_rng(rng)
        self.params = {
            "W1": (std * self._normal(n_features, n_hidden)).astype(kind),
            "b1": np.zeros(n_hidden, kind),
            "W2": (std * self._normal(n_hidden, n_outputs)).astype(kind),
            "b2": np.zeros(n_outputs, kind),
        }
        self.history: dict[str, list[float]] = {}

    @cached_property
    def _pool(self) -> Any:
        from jitloss_kernels.memory import Pool

        return Pool(keeps_large=True)

    def loss(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        reg: float = 0.0,
        *,
        n_threads: int | None = None,
        implementation: str = "auto",
    ) -> Any:
        """Scores (N, C) without labels; with them the loss, and its gradients by the names of `params`.

        Parameters
        ----------
        X : (N, D) array_like
            float32, float64, an integer type or bool.
        y : (N,) array_like of integers
            Labels, 0 … C − 1.
        reg : float
            Finite and at least 0.
        n_threads : int
            At most this many threads.
        implementation : {"auto", "fused", "numpy"}
            The fused kernel ("auto" chooses it), or vectorised NumPy.

        Raises
        ------
        TypeError, ValueError
            As `softmax_loss`.
        """
        parameters = self._parameters()
        given = self._samples(X, parameters)
        labels = None if y is None else self._labels(y, given)
        decay, count = checks.decay(reg, self._reg_scale), checks.threads(n_threads)
        if checks.one_of("implementation", implementation, ("auto", "fused", "numpy")) == "numpy":
            if count is not None:
                checks.lacking("n_threads", implementation, ["auto", "fused"])
            wide = np.asarray(given, parameters["W1"].dtype)
            if labels is None:
                return reference_net.scores(parameters, wide)
            return reference_net.loss(parameters, wide, labels, decay)
        return self._fused(parameters, given, labels, decay, count)

    def _fused(
        self,
        parameters: dict[str, np.ndarray],
        X: np.ndarray,
        y: np.ndarray | None,
        decay: float,
        n_threads: int | None = None,
        chosen: np.ndarray | None = None,
    ) -> Any:
        """The kernel, with arguments that were checked; `chosen` are the numbers of the rows of X that count."""
        from jitloss_kernels.two_layer import net_loss

        dtype, n_rows = parameters["W1"].dtype, len(X) if chosen is None else len(chosen)
        if y is None:
            results = {"scores": np.empty((n_rows, len(parameters["b2"])), dtype)}
        else:
            results = {name: np.empty_like(array) for name, array in parameters.items()}
        value = net_loss(parameters, block_input(X, dtype), y, decay, results, n_threads, chosen, self._pool)
        return results["scores"] if y is None else (value, results)

    def train(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_val: ArrayLike,
        y_val: ArrayLike,
        learning_rate: float = 1e-3,
        learning_rate_decay: float = 0.95,
        reg: float = 5e-6,
        num_iters: int = 100,
        batch_size: int = 200,
        verbose: bool = False,
        *,
        progress: bool = False,
        on_step: Callable[[int, float], None] | None = None,
    ) -> dict[str, list[float]]:
        """Stochastic gradient descent; batches are drawn with replacement, the learning rate decays once an epoch.

        Parameters
        ----------
        X, y : training data, as for `loss`.
        X_val, y_val : validation data.
        learning_rate, learning_rate_decay, reg : float
        num_iters, batch_size : int
        verbose : bool
            Print the loss every hundredth step.
        progress : bool
            Show a progress bar, where standard error is a terminal; needs rich (the `cli` extra).
        on_step : callable
            Called after each step with its number and its loss.

        Returns
        -------
        dict
            `history`. An interrupt (Ctrl-C) goes through; parameters and `history` keep what was learned.
        """
        parameters = self._parameters()
        X, X_val = self._samples(X, parameters), self._samples(X_val, parameters, "X_val")
        y, y_val = self._labels(y, X), self._labels(y_val, X_val, "y_val")
        if len(X) == 0:
            raise ValueError("X has no rows: there is nothing to train on")
        X, X_val = (block_input(a, parameters["W1"].dtype) for a in (X, X_val))  # converted once, if at all
        decay, batch_size = checks.decay(reg, self._reg_scale), checks.at_least(1, "batch_size", batch_size)
        steps = descend(
            parameters, self.by_batch(parameters, X, y, decay), self._draw(len(X), batch_size),
            steps_per_epoch=max(len(X) / batch_size, 1),
            num_iters=checks.at_least(0, "num_iters", num_iters),
            learning_rate=checks.factor("learning_rate", learning_rate),
            decay=checks.factor("learning_rate_decay", learning_rate_decay),
        )  # fmt: skip
        self.params.update(parameters)  # what is trained, in place
        self.history = {"loss_history": [], "train_acc_history": [], "val_acc_history": []}
        with _bar(num_iters, progress) as show:
            for step in steps:
                self.history["loss_history"].append(step.loss)
                if verbose and step.number % 100 == 0:
                    print(f"iteration {step.number} / {num_iters}: loss {step.loss:f}")
                if step.ends_epoch:
                    found = self._fused(parameters, X, None, 0.0, chosen=step.indices).argmax(axis=1)
                    of_validation = self._fused(parameters, X_val, None, 0.0).argmax(axis=1)
                    self.history["train_acc_history"].append(accuracy(found, y[step.indices]))
                    self.history["val_acc_history"].append(accuracy(of_validation, y_val))
                show(f"loss {step.loss:.4f}")
                if on_step is not None:
                    on_step(step.number, step.loss)
        return self.history

    def by_batch(
        self, parameters: dict[str, np.ndarray], X: np.ndarray, y: np.ndarray, decay: float
    ) -> Callable[[np.ndarray], tuple[float, dict[str, np.ndarray]]]:
        """The loss of a batch and its gradients, by the numbers of its rows (int64, within X), which are not copied.

        Nothing is checked but here: `X` and `y` are as ``loss`` leaves them.
        """

        def loss_and_gradients(indices: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
            loss, gradients = self._fused(parameters, X, y[indices], decay, chosen=indices)
            return loss, gradients

        return loss_and_gradients

    def _normal(self, *shape: int) -> np.ndarray:
        return np.asarray(self._random.standard_normal(shape))

    def _draw(self, n_samples: int, batch_size: int) -> Callable[[], np.ndarray]:
        return drawn(self._random, n_samples, batch_size)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The class (N,) with the largest score for each row of X."""
        return np.asarray(self.loss(X).argmax(axis=1))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to an .npz file, whole or not at all."""
        arrays = {"reg_scale": np.array(self._reg_scale), **self._parameters()}
        write_whole(Path(path), lambda part: save_arrays(part, arrays))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TwoLayerNet:
        """A net with the parameters of a file that `save` wrote. Nothing is unpickled."""
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError(f"{os.fspath(path)} is a single array: expected a file that save() wrote")
        with archive:
            missing = [name for name in PARAMETERS if name not in archive.files]
            if missing:
                raise ValueError(f"{os.fspath(path)} lacks {', '.join(missing)}: expected a file that save() wrote")
            found = {name: archive[name] for name in PARAMETERS}
            scale = float(archive["reg_scale"]) if "reg_scale" in archive.files else cls._reg_scale
        net = cls.__new__(cls)
        net._random, net.history, net.params, net._reg_scale = np.random.default_rng(), {}, found, scale
        net.params = net._parameters()
        return net

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_pool"}  # scratch stays here

    def _parameters(self) -> dict[str, np.ndarray]:
        """The parameters as they are now, checked; of one dtype and C-contiguous, copied where they are not."""
        W1, W2 = (checks.matrix(name, self.params[name]) for name in ("W1", "W2"))
        kind = checks.float_dtype("the dtype of params['W1']", checks.kind(W1))
        shapes = {"W1": W1.shape, "b1": W1.shape[1:], "W2": (W1.shape[1], W2.shape[1]), "b2": W2.shape[1:]}
        found = {}
        for name, shape in shapes.items():
            array = np.asarray(self.params[name])
            if array.shape != shape or 0 in shape or array.dtype.kind not in "fiub":
                given = f"params[{name!r}] is {array.dtype} of shape {array.shape}"
                raise ValueError(f"{given}: expected {kind} of shape {shape}")
            found[name] = fit(array, kind)
        return found

    def _samples(self, X: ArrayLike, parameters: dict[str, np.ndarray], name: str = "X") -> np.ndarray:
        found = checks.matrix(name, X)
        if found.shape[1] != len(parameters["W1"]):
            raise ValueError(f"{name} has shape {found.shape}: expected (N, {len(parameters['W1'])})")
        return found

    def _labels(self, y: ArrayLike, X: np.ndarray, name: str = "y") -> np.ndarray:
        own = np.array(checks.labels_of(X, y, name, of="its samples"))
        checks.in_range(own, self.params["W2"].shape[1], name, "the net has as many outputs")
        return fit(own, _LABELS)


def accuracy(found: np.ndarray, y: np.ndarray) -> float:
    """The share of labels that were found; NaN for none."""
    return float((found == y).mean()) if len(y) else float("nan")


def _bar(steps: int, wanted: bool) -> Any:
    """A progress bar, or nothing that looks like one."""
    from contextlib import nullcontext

    if not wanted:
        return nullcontext(lambda says: None)
    from .terminal import progress_bar, require

    require("rich")
    return progress_bar(steps)
