"""The table of targets, measured in one run: ``python asv_benchmarks/table.py``.

Sides take turns (`jitloss.compare.measure`); figures are medians. "NumPy / ours" is the time of the frozen NumPy
yardstick divided by the time of the fused engine: higher is better. The roofline multiple divides our
time by what reading X once and 4·N·D·C flops take at the bandwidth and the matrix product measured at the start of the
same run: 1 is the limit. "weighted" is our time with sample weights, a bias and ignored labels over that without, and
behind it stands NumPy's time with these over ours.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product as combinations
from pathlib import Path

import numpy as np

from benchmarks import problems, yardsticks
from jitloss.compare import first_call, machine, measure, peers
from jitloss.compare.cases import Case
from jitloss.losses import LOSSES

# NumPy time / ours, float64 and float32.
TARGETS = {
    "dev": (3.2, 2.8), "batch": (2.2, 2.2), "cifar": (4, 4), "mnist": (4, 4), "binary": (3, 3),
    "mid": (2, 1.4), "features": (1, 1), "vocab": (None, 1), "tiny": (1.5, 1.5),
}  # fmt: skip
DTYPES = ("float64", "float32")
# The textbook loops take seconds for more than so many products.
_JIT_PRODUCTS = 2 << 30


def problem(name: str, dtype: str, seed: int = 0, trained: bool = False) -> Case:
    """One of the named problems."""
    made = problems.generated(problems.SHAPES[name], dtype, seed, trained)
    return Case(name + (" trained" if trained else ""), "generated", *made)


def violated(case: Case) -> float:
    """Share of the margins of wrong classes that are violated."""
    S = case.X[:2000] @ case.W
    y = case.y[:2000]
    margins = S - S[np.arange(len(S)), y][:, np.newaxis] + 1
    return float(((margins > 0).sum() - len(S)) / (S.size - len(S)))


def accuracy(name: str, loss: str, dtype: str) -> tuple[float, float]:
    """Relative errors of dW, ours and NumPy's, against the float64 truth: medians of five seeds."""
    errors = []
    for seed in range(5):
        case = problem(name, dtype, seed)
        truth = yardsticks.numpy_loss(loss, case.W.astype(np.float64), case.X.astype(np.float64), case.y)[1]
        size = np.linalg.norm(truth)
        ours = LOSSES[loss].function(case.W, case.X, case.y)[1]
        theirs = yardsticks.numpy_loss(loss, case.W, case.X, case.y)[1]
        errors.append([np.linalg.norm(found - truth) / size for found in (ours, theirs)])
    return tuple(np.median(errors, axis=0).tolist())


def everything(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What every sample feels: a tenth of the labels to be ignored (-1), a bias, and weights."""
    random, y = np.random.default_rng(1), case.y.copy()
    y[::10] = -1
    return y, random.standard_normal(case.W.shape[1], case.dtype), random.uniform(0.5, 2, len(y))


def row(case: Case, loss: str, dtype: str, roof: dict, n_threads: int, against: list[str]) -> dict:
    """One line of the table."""
    function = LOSSES[loss].function

    def ours():
        return function(case.W, case.X, case.y, n_threads=n_threads)

    labels, bias, weights = everything(case)

    def weighted():
        return function(
            case.W, case.X, labels, bias=bias, sample_weight=weights, ignore_index=-1, wrt="W", n_threads=n_threads
        )

    calls = {
        "ours": ours,
        "weighted": weighted,
        "numpy": lambda: yardsticks.numpy_loss(loss, case.W, case.X, case.y),
        "numpy weighted": lambda: yardsticks.weighted_loss(loss, case.W, case.X, labels, bias, weights, -1),
    }
    if case.X.size * case.W.shape[1] <= _JIT_PRODUCTS:
        calls["jit"] = lambda: function(case.W, case.X, case.y, n_threads=n_threads, implementation="jit")
    for name in against:
        if peers.installed(name) and loss in peers.PEERS[name].losses:
            calls[name] = peers.PEERS[name].prepare(loss, case, n_threads)
    seconds = {
        name: float(np.median(times)) for name, times in measure.alternate(calls, measure.FULL, lambda _: None).items()
    }
    limit = max(case.X.nbytes / roof["bandwidth"], 4 * case.X.size * case.W.shape[1] / roof[dtype])
    return {
        "shape": case.name, "loss": loss, "dtype": dtype, "seconds": seconds,
        "ratio": seconds["numpy"] / seconds["ours"], "roofline": seconds["ours"] / limit,
        "extra_mb": measure.extra_memory(ours) / 2**20, "violated": violated(case) if loss == "svm" else None,
    }  # fmt: skip


def bytes_as_they_come(loss: str, n_threads: int) -> str:
    """cifar with X as uint8, as images come, against the same numbers as float32."""
    case, function = problem("cifar", "float32"), LOSSES[loss].function
    images = np.random.default_rng(0).integers(0, 256, case.X.shape, np.uint8)
    floats = images.astype(np.float32)
    calls = {
        "uint8": lambda: function(case.W, images, case.y, n_threads=n_threads),
        "float32": lambda: function(case.W, floats, case.y, n_threads=n_threads),
    }
    seconds = {k: float(np.median(v)) for k, v in measure.alternate(calls, measure.FULL, lambda _: None).items()}
    extra = measure.extra_memory(calls["uint8"]) / 2**20
    return (
        f"cifar, {loss}, X as uint8: {1e3 * seconds['uint8']:.1f} ms, as float32: {1e3 * seconds['float32']:.1f} ms "
        f"({seconds['float32'] / seconds['uint8']:.2f} times), extra memory {extra:.1f} MB"
    )


def show(found: dict, error: tuple[float, float] | None) -> str:
    """A line for the terminal."""
    name = found["shape"].split()[0]
    target = TARGETS[name][DTYPES.index(found["dtype"])] if name == found["shape"] else None
    seconds = found["seconds"]
    line = f"{found['shape']:14} {found['loss']:8}{found['dtype']:8} {1e3 * seconds['numpy']:9.3f} "
    line += f"{1e3 * seconds['ours']:9.3f} {found['ratio']:6.2f} {target or '–':>6} {found['roofline']:6.2f} "
    line += f"{found['extra_mb']:7.1f} "
    line += f"{found['violated']:5.0%} " if found["violated"] is not None else "      "
    line += f"{error[0]:.1e} {error[1]:.1e} " if error else " " * 16
    line += (
        f"weighted {seconds['weighted'] / seconds['ours']:.2f} {seconds['numpy weighted'] / seconds['weighted']:.2f}  "
    )
    others = [peer for peer in seconds if peer not in ("ours", "weighted", "numpy", "numpy weighted")]
    return line + "  ".join(f"{peer} {seconds[peer] / seconds['ours']:.2f}" for peer in others)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--against", nargs="*", choices=peers.PEERS, default=list(peers.PEERS))
    parser.add_argument("--threads", type=int, default=machine.available_cores())
    parser.add_argument("--no-accuracy", action="store_true", help="skip the five seeds of each float32 row")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    return parser.parse_args()


def main() -> int:
    chosen, rows = options(), []
    with machine.blas_threads(chosen.threads):
        roof = {"bandwidth": yardsticks.bandwidth(chosen.threads)} | {d: yardsticks.product(d) for d in DTYPES}
        header = machine.describe(chosen.threads)
        print(f"{header['cpu']}, {chosen.threads} threads, {header['launch']}, {header['versions']}")
        print(
            f"read bandwidth {roof['bandwidth'] / 1e9:.1f} GB/s, matrix product "
            f"{roof['float64'] / 1e9:.0f} / {roof['float32'] / 1e9:.0f} GFLOP/s\n"
        )
        print(f"{'':31} {'NumPy ms':>9} {'ours ms':>9} {'ratio':>6} {'target':>6} {'roof':>6} {'MB':>7} viol.", end=" ")
        print("error: ours, NumPy   peer / ours")
        for name, dtype, loss in combinations(chosen.shapes, DTYPES, LOSSES):
            if TARGETS[name][DTYPES.index(dtype)] is None:
                continue
            rows.append(row(problem(name, dtype), loss, dtype, roof, chosen.threads, chosen.against))
            exact = None if chosen.no_accuracy or dtype == "float64" else accuracy(name, loss, dtype)
            rows[-1]["error"] = exact
            print(show(rows[-1], exact), flush=True)
        if "cifar" in chosen.shapes:
            for dtype, loss in combinations(DTYPES, LOSSES):
                rows.append(row(problem("cifar", dtype, trained=True), loss, dtype, roof, chosen.threads, []))
                print(show(rows[-1], None), flush=True)
            print()
            for loss in LOSSES:
                print(bytes_as_they_come(loss, chosen.threads), flush=True)
    first = first_call.first_call("fused", "softmax", "float64", problems.SHAPES["dev"], chosen.threads, 3)
    print(f"\nfirst call of a process, imports included: cold {first.cold:.2f} s, cached {first.cached:.2f} s")
    if chosen.json:
        chosen.json.write_text(json.dumps({"machine": header, "roof": roof, "rows": rows, "first": first}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
