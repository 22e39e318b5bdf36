"""Objective with SciPy's L-BFGS against scikit-learn's LogisticRegression: the same optimum, which is there first?

Both minimise the same function with the same optimiser and threads until the largest entry of the gradient is below
the same bound, in turn, several times. What differs is who computes the loss and its gradient.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import jitloss
from jitloss.compare.machine import available_cores
from jitloss.data import digits

ROUNDS, TOLERANCE, MOST_STEPS = 5, 1e-6, 20_000


def problems() -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """The digits; and noisy labels of a linear teacher, of MNIST's width."""
    data, random = digits(), np.random.default_rng(0)
    X = random.standard_normal((20_000, 785))
    teacher = random.standard_normal((785, 10)) / 785**0.5
    y = (X @ teacher + random.gumbel(size=(20_000, 10))).argmax(axis=1)
    return {"digits 1797×64×10": (data.X, data.y, 1e-4), "generated 20000×785×10": (X, y, 1e-3)}


def ours(X: np.ndarray, y: np.ndarray, reg: float) -> np.ndarray:
    objective = jitloss.Objective(X, y, reg=reg, fit_intercept=True, n_threads=available_cores())
    settings = {"gtol": TOLERANCE, "ftol": 0, "maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS}
    return np.asarray(minimize(objective.fun, objective.x0, jac=True, method="L-BFGS-B", options=settings).x)


def theirs(X: np.ndarray, y: np.ndarray, reg: float) -> np.ndarray:
    model = LogisticRegression(C=1 / (len(X) * reg), tol=TOLERANCE, max_iter=MOST_STEPS).fit(X, y)
    return np.concatenate([model.coef_.T.ravel(), model.intercept_])


def measured(solve: Any, *problem: Any) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    found = solve(*problem)
    return time.perf_counter() - start, found


def main() -> None:
    warnings.simplefilter("ignore")  # of scikit-learn, where it cannot reach the tolerance
    print(f"{available_cores()} threads a side; medians of {ROUNDS} rounds, in turn; gradient below {TOLERANCE:g}")
    for name, problem in problems().items():
        objective = jitloss.Objective(*problem[:2], reg=problem[2], fit_intercept=True)
        objective.fun(objective.x0)  # compiled
        seconds: dict[str, list[float]] = {"jitloss": [], "scikit-learn": []}
        ends = {}
        with threadpool_limits(available_cores()):
            for _ in range(ROUNDS):
                for side, solve in (("jitloss", ours), ("scikit-learn", theirs)):
                    time.sleep(0.15)  # until the other side's threads no longer spin
                    taken, w = measured(solve, *problem)
                    seconds[side].append(taken)
                    ends[side] = objective.fun(w)
        for side, (loss, gradient) in ends.items():
            print(
                f"{name:24} {side:13} {1e3 * np.median(seconds[side]):9.1f} ms   loss {loss:.12f}"
                f"   largest gradient {np.abs(gradient).max():.1e}"
            )
        print(f"{name:24} ratio {np.median(np.divide(seconds['scikit-learn'], seconds['jitloss'])):.2f}")


if __name__ == "__main__":
    main()
