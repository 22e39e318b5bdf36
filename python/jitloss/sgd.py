"""Stochastic gradient descent, the same for every model of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Step(NamedTuple):
    """What one step found."""

    number: int  # from 0 on
    loss: float  # of its batch, before the step
    indices: np.ndarray  # of its batch
    ends_epoch: bool  # as many samples as there are have been drawn since the last epoch, or this is the first step


def descend(
    parameters: dict[str, np.ndarray],
    loss_and_gradients: Callable[[np.ndarray], tuple[float, dict[str, np.ndarray]]],
    draw: Callable[[], np.ndarray],
    *,
    steps_per_epoch: float,
    learning_rate: float,
    decay: float = 1.0,
    step_decay: float = 1.0,
    num_iters: int,
) -> Iterator[Step]:
    """Change the `parameters` in place, ``- learning_rate * gradient`` of a batch at a time; one Step after another.

    `draw` gives the indices of a batch, `loss_and_gradients` its loss and the gradients by the parameters' names. After
    each epoch, the first step being one, the learning rate is multiplied by `decay`; after each step, by `step_decay`.
    """
    for number in range(num_iters):
        indices = np.asarray(draw(), np.int64)  # NumPy's own draws have 32 bits on some systems
        loss, gradients = loss_and_gradients(indices)
        for name, gradient in gradients.items():
            gradient *= learning_rate  # ours until the next step
            parameters[name] -= gradient
        ends_epoch = number == 0 or number // steps_per_epoch > (number - 1) // steps_per_epoch
        yield Step(number, loss, indices, ends_epoch)
        learning_rate *= step_decay * (decay if ends_epoch else 1.0)


def drawn(random: Any, n_samples: int, batch_size: int) -> Callable[[], np.ndarray]:
    """Batches of indices, with replacement, from a NumPy generator."""
    return lambda: np.asarray(random.integers(0, n_samples, batch_size))
