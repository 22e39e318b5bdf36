"""The command ``jitloss train``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from ..data import Data, from_words
from ..files import save_arrays
from ..terminal import Refused, progress_bar, require, require_folders, write_whole
from .fit import MODELS, Settings, Trained, fit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command can be told."""
    usual = Settings()
    parser.add_argument("--model", choices=MODELS, default=usual.model, help=f"default: {usual.model}")
    parser.add_argument(
        "--data", nargs="+", metavar="SOURCE",
        help="FILE.npz, with arrays X and y; or cifar10 FOLDER, that of CIFAR-10's binary version; default: digits",
    )  # fmt: skip
    for name, kind, says in (
        ("steps", int, "steps of stochastic gradient descent"),
        ("batch-size", int, "samples a step"),
        ("hidden", int, "hidden units of the two-layer net"),
        ("reg", float, "strength of the L2 regularisation"),
        ("held-out", float, "share of the samples that is held out"),
        ("seed", int, "of the split, the weights and the batches"),
    ):
        value = getattr(usual, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, default=value, metavar="N", help=f"{says} (default: {value})")
    parser.add_argument("--learning-rate", type=float, metavar="N", help="default: from the data")
    parser.add_argument("--output", type=Path, default=Path("model.npz"), metavar="FILE.npz", help="default: model.npz")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw learning curves, and weights of pictures")


def run(options: argparse.Namespace) -> int:
    """Train, write, tell. An interrupt keeps what was learned, and ends with status 130."""
    require("rich", *(["matplotlib"] if options.plot else []))
    require_folders(options.output, options.plot)
    settings, data = _settings(options), from_words(options.data)
    start = time.perf_counter()
    with progress_bar(settings.steps) as show:
        trained = fit(data, settings, show)
    seconds = time.perf_counter() - start
    arrays = trained.arrays()
    write_whole(options.output, lambda path: save_arrays(path, arrays))
    if options.plot and trained.losses:
        from .draw import draw

        title = f"{settings.model} on {data.name}"
        write_whole(options.plot, lambda path: draw(trained, title, data.picture, path))
    _tell(trained, data, seconds, options.output)
    return 130 if trained.interrupted else 0


def _settings(options: argparse.Namespace) -> Settings:
    for name, least, most in (
        ("steps", 1, 1e9), ("batch_size", 1, 1e9), ("hidden", 1, 1e6), ("reg", 0, 1e300), ("held_out", 0, 1),
        ("seed", 0, 2**63), ("learning_rate", 1e-300, 1e300),
    ):  # fmt: skip
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise Refused(f"--{name.replace('_', '-')} {value}: expected a number from {least} to {most:g}")
    names = ("model", "hidden", "steps", "batch_size", "learning_rate", "reg", "held_out", "seed")
    return Settings(**{name: getattr(options, name) for name in names})


def _tell(trained: Trained, data: Data, seconds: float, path: Path) -> None:
    rate, how = trained.learning_rate, "interrupted after " if trained.interrupted else ""
    print(f"{trained.settings.model} on {data.name}: {data.says}")
    print(f"{trained.n_training} samples to train on, {trained.n_held_out} held out; learning rate {rate:.3g}")
    print(f"{how}{len(trained.losses)} steps in {seconds:.1f} s")
    if trained.validation:
        shares = f"training {trained.training[-1]:.1%}, held out {trained.validation[-1]:.1%}"
        print(f"loss {np.mean(trained.losses[-20:]):.4f} · right: {shares}")
    print(f"written: {path}")
