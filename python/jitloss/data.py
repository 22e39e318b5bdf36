"""Data for the command line: the digits that come along, files, and seeded problems of a given shape.

Files are data, never code: nothing is unpickled, and sizes are checked before anything is believed.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import checks
from .cifar10 import TRAINING_FILES, read_records
from .cifar10 import DataError as DataError

# The shapes (N, D, C) that the project measures itself by; a last feature of 1 (785, 3073) stands for the bias.
SHAPES = {
    "tiny": (32, 64, 10),
    "batch": (256, 785, 10),
    "dev": (500, 3073, 10),
    "binary": (200_000, 100, 2),
    "mid": (5000, 512, 100),
    "mnist": (60_000, 785, 10),
    "cifar": (49_000, 3073, 10),
    "features": (8192, 2048, 1000),
    "vocab": (2048, 768, 32_000),
}

# What NumPy and zipfile raise for bytes that are not what they should be; pickled arrays are a ValueError.
UNREADABLE = (
    ValueError,
    EOFError,
    KeyError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class Data(NamedTuple):
    """Samples in rows, with their labels."""

    name: str
    says: str  # where they come from
    X: np.ndarray  # (N, D) float64 or float32
    y: np.ndarray  # (N,) int64
    n_classes: int
    picture: tuple[int, int, int] | None = None  # height, width, channels of a sample, stored channel by channel


def from_words(words: Sequence[str] | None) -> Data:
    """What a command line names: nothing for the digits, ``cifar10 FOLDER``, or an .npz file."""
    if not words:
        return digits()
    if words[0] == "cifar10":
        if len(words) != 2:
            raise DataError("--data cifar10: expected the folder of CIFAR-10's binary version after it")
        return read_cifar10(Path(words[1]))
    if len(words) > 1:
        raise DataError(f"--data {' '.join(words)}: expected one source")
    return read_npz(Path(words[0]))


def digits() -> Data:
    """The 1797 handwritten digits of the UCI repository, grey values scaled to 0 … 1."""
    with as_file(files("jitloss") / "datasets" / "digits.npz") as path:
        X, y = _arrays(path)
    return Data("digits", "UCI handwritten digits, real data", X / 16.0, y.astype(np.int64), 10, (8, 8, 1))


def generated(n_rows: int, n_features: int, n_classes: int, name: str = "", seed: int = 0) -> Data:
    """Standard normal samples with uniform labels, from a seed."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_rows, n_features), dtype=np.float32)
    y = random.integers(0, n_classes, n_rows)
    return Data(name or f"{n_rows}x{n_features}x{n_classes}", f"generated, seed {seed}", X, y, n_classes)


def of_shape(text: str) -> Data:
    """A generated problem by a name from SHAPES, or by its shape as "NxDxC"."""
    if text in SHAPES:
        return generated(*SHAPES[text], name=text)
    if not re.fullmatch(r"[1-9]\d{0,9}x[1-9]\d{0,9}x[1-9]\d{0,9}", text):
        raise DataError(f"shape {text!r}: expected NxDxC, such as 500x3073x10, or one of {', '.join(SHAPES)}")
    n_rows, n_features, n_classes = map(int, text.split("x"))
    return generated(n_rows, n_features, n_classes)


def read_npz(path: Path) -> Data:
    """Arrays ``X`` (N, …) and ``y`` (N,) of an .npz file, each sample flattened; pickled arrays are refused.

    X of shape (N, height, width) or (N, channels, height, width), with one or three channels, holds pictures.
    """
    X, y = _arrays(path)
    picture = None
    if X.ndim == 3 or (X.ndim == 4 and X.shape[1] in (1, 3)):
        picture = (*X.shape[-2:], X.shape[1] if X.ndim == 4 else 1)
    try:
        X = checks.matrix("X", X.reshape(len(X), -1) if X.ndim > 2 else X)
        y = checks.labels(y)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    if len(X) != len(y) or X.size == 0:
        raise DataError(f"{path}: X has shape {X.shape} and y {y.shape}: expected as many labels as samples, and some")
    if y.min() < 0 or y.max() >= 1_000_000:
        raise DataError(f"{path}: labels run from {y.min()} to {y.max()}: expected 0 … C − 1, below a million")
    if not np.isfinite(X).all():
        raise DataError(f"{path}: X holds NaN or infinity")
    X = X.astype(checks.kind(X), copy=False) if X.dtype.kind == "f" else X.astype(np.float32)
    return Data(path.name, str(path.name), X, y.astype(np.int64), int(y.max()) + 1, picture)


def read_cifar10(folder: Path) -> Data:
    """The 50,000 training images of CIFAR-10's *binary* version: centred, scaled to ±1, and a feature of ones."""
    pixels, y = read_records(folder, TRAINING_FILES)
    X = np.ones((len(pixels), pixels.shape[1] + 1), np.float32)
    X[:, :-1] = pixels
    X[:, :-1] -= X[:, :-1].mean(axis=0, dtype=np.float64).astype(np.float32)
    X[:, :-1] /= 128
    return Data("cifar10", "CIFAR-10 training images, real data", X, y, 10, (32, 32, 3))


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """X and y of an .npz file, or a DataError that says what is wrong with it."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path} is a single array: expected an .npz file with arrays X and y")
            with archive:
                if not {"X", "y"} <= set(archive.files):
                    held = ", ".join(archive.files) or "nothing"
                    raise DataError(f"{path} holds {held}: expected arrays X and y")
                return archive["X"], archive["y"]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path}: its arrays do not fit into memory") from None
    except UNREADABLE as error:
        raise DataError(f"{path} is not a readable .npz file of plain arrays: {error}") from None
