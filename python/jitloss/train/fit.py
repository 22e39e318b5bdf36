"""Fitting a linear classifier or a two-layer net by stochastic gradient descent, with a part of the data held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..data import Data, DataError
from ..objective import Objective
from ..sgd import descend, drawn
from ..two_layer import TwoLayerNet, accuracy

MODELS = ("softmax", "svm", "two-layer")
# By the last step the learning rate has fallen to this share.
_LAST_RATE = 0.01


@dataclass(frozen=True)
class Settings:
    """What can be chosen."""

    model: str = "softmax"
    hidden: int = 100
    steps: int = 2000
    batch_size: int = 200
    learning_rate: float | None = None  # None: from the data
    reg: float = 1e-4
    held_out: float = 0.2  # share of the samples
    seed: int = 0


@dataclass
class Trained:
    """A model, how its inputs are scaled, and its history."""

    settings: Settings
    parameters: dict[str, np.ndarray]  # W and b, or W1, b1, W2 and b2
    mean: np.ndarray  # (D,): inputs are (X − mean) / scale
    scale: float
    n_training: int
    n_held_out: int
    learning_rate: float
    losses: list[float] = field(default_factory=list)  # of each batch
    epochs: list[int] = field(default_factory=list)  # steps done when the accuracies were measured
    training: list[float] = field(default_factory=list)  # accuracies: of a sample of the training data,
    validation: list[float] = field(default_factory=list)  # and of what was held out
    interrupted: bool = False

    def arrays(self) -> dict[str, np.ndarray]:
        """All that is worth keeping, by name."""
        return self.parameters | {
            "mean": self.mean,
            "scale": np.array(self.scale),
            "loss_history": np.array(self.losses),
            "epoch_steps": np.array(self.epochs, np.int64),
            "train_acc_history": np.array(self.training),
            "val_acc_history": np.array(self.validation),
        }


def fit(data: Data, settings: Settings, show: Callable[[str], None] = lambda says: None) -> Trained:
    """Fit a model; an interrupt ends the training, not what was learned. `show` is told of every step."""
    random = np.random.default_rng(settings.seed)
    order = random.permutation(len(data.X))
    n_held_out = round(settings.held_out * len(order))
    if not 0 < n_held_out < len(order):
        raise DataError(f"{data.name} has {len(order)} samples: too few to hold out {settings.held_out:g} of them")
    held_out, rows = order[:n_held_out], order[n_held_out:]
    mean = data.X[rows].mean(axis=0)
    scale = float((data.X[rows] - mean).std()) or 1.0
    X, X_held_out = (((data.X[part] - mean) / scale).astype(data.X.dtype) for part in (rows, held_out))
    y, y_held_out = data.y[rows], data.y[held_out]
    model = _two_layer if settings.model == "two-layer" else _linear
    parameters, gradients, predict = model(X, y, data.n_classes, settings, random)
    rate = settings.learning_rate or 2.0 / steepness(X, random)
    trained = Trained(settings, parameters, mean, scale, len(rows), n_held_out, rate)
    per_epoch = max(len(rows) / settings.batch_size, 1)
    seen = random.permutation(len(rows))[:1000]  # enough to see how the training data fares
    steps = descend(
        parameters, gradients, drawn(random, len(rows), settings.batch_size), steps_per_epoch=per_epoch,
        learning_rate=rate, step_decay=_LAST_RATE ** (1 / settings.steps), num_iters=settings.steps,
    )  # fmt: skip
    try:
        for step in steps:
            trained.losses.append(step.loss)
            if step.ends_epoch or step.number == settings.steps - 1:
                right = accuracy(predict(X[seen]), y[seen]), accuracy(predict(X_held_out), y_held_out)
                trained.epochs.append(step.number + 1)
                trained.training.append(right[0])
                trained.validation.append(right[1])
            show(f"loss {step.loss:.4f} · held out {trained.validation[-1]:.1%} right")
    except KeyboardInterrupt:
        trained.interrupted = True
    return trained


Model = tuple[
    dict[str, np.ndarray],
    Callable[[np.ndarray], tuple[float, dict[str, np.ndarray]]],  # loss and gradients of a batch, by its indices
    Callable[[np.ndarray], np.ndarray],  # classes of samples
]


def _linear(X: np.ndarray, y: np.ndarray, n_classes: int, settings: Settings, random: np.random.Generator) -> Model:
    parameters = {"W": np.zeros((X.shape[1], n_classes), X.dtype), "b": np.zeros(n_classes, X.dtype)}
    objective = Objective(X, y, settings.model, settings.reg, fit_intercept=True, n_classes=n_classes)
    made = {name: np.empty_like(array) for name, array in parameters.items()}

    def gradients(indices: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        batch = objective.batch(indices)
        return batch.value_and_grad(parameters["W"], parameters["b"], out=(made["W"], made["b"]))[0], made

    return parameters, gradients, lambda X: (X @ parameters["W"] + parameters["b"]).argmax(axis=1)


def _two_layer(X: np.ndarray, y: np.ndarray, n_classes: int, settings: Settings, random: np.random.Generator) -> Model:
    std = (2 / X.shape[1]) ** 0.5  # He and others (2015): what a ReLU lets through keeps its size
    net = TwoLayerNet(X.shape[1], settings.hidden, n_classes, std=std, rng=random, dtype=X.dtype)
    net.params["W2"] *= (X.shape[1] / settings.hidden) ** 0.5
    return net.params, net.by_batch(net.params, X, y, 0.5 * settings.reg), net.predict


def steepness(X: np.ndarray, random: np.random.Generator) -> float:
    """The largest eigenvalue of XᵀX / N, from some rows, by power iteration: a bound of how curved the losses are."""
    rows = X[random.permutation(len(X))[:2000]].astype(np.float64)
    direction: np.ndarray = np.asarray(random.standard_normal(X.shape[1]))
    for _ in range(30):
        image = rows.T @ (rows @ (direction / np.linalg.norm(direction))) / len(rows)
        if not image.any():
            return 1.0
        direction = np.asarray(image)
    return float(np.linalg.norm(direction))
