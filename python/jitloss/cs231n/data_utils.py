"""CIFAR-10, from its binary version: nothing is unpickled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..cifar10 import BINARY_FOLDER, TEST_FILES, TRAINING_FILES, read_records

DEFAULT_FOLDER = os.path.join("cs231n", "datasets", "cifar-10-batches-py")


def load_CIFAR10(ROOT: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All of CIFAR-10.

    Parameters
    ----------
    ROOT : folder
        Where the files of the binary version are (``data_batch_1.bin``, …). A folder without them, such as the one of
        the pickled version, stands for ``cifar-10-batches-bin`` beside it.

    Returns
    -------
    Xtr : (50000, 32, 32, 3) float64, Ytr : (50000,) int64, Xte : (10000, 32, 32, 3), Yte : (10000,)

    Raises
    ------
    jitloss.data.DataError
        Where a file is missing, or not what it should be.
    """
    folder = Path(ROOT)
    if not (folder / TRAINING_FILES[0]).exists() and (folder.parent / BINARY_FOLDER).is_dir():
        folder = folder.parent / BINARY_FOLDER
    parts: list[np.ndarray] = []
    for names in (TRAINING_FILES, TEST_FILES):
        pixels, labels = read_records(folder, names)
        parts += [pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(float), labels]
    Xtr, Ytr, Xte, Yte = parts
    return Xtr, Ytr, Xte, Yte


def get_CIFAR10_data(
    num_training: int = 49000,
    num_validation: int = 1000,
    num_test: int = 1000,
    subtract_mean: bool = True,
    cifar10_dir: str | os.PathLike[str] = DEFAULT_FOLDER,
) -> dict[str, np.ndarray]:
    """CIFAR-10 as the second assignment uses it: split, centred, channels first.

    Parameters
    ----------
    num_training, num_validation : how many of the 50,000 training images, from the first on, are which.
    num_test : how many of the test images.
    subtract_mean : subtract the mean training image.
    cifar10_dir : folder, as for `load_CIFAR10`.

    Returns
    -------
    dict
        ``X_train``, ``X_val``, ``X_test`` (·, 3, 32, 32) and ``y_train``, ``y_val``, ``y_test``.
    """
    Xtr, Ytr, Xte, Yte = load_CIFAR10(cifar10_dir)
    for name, wanted, there in (
        ("num_training + num_validation", num_training + num_validation, len(Xtr)),
        ("num_test", num_test, len(Xte)),
    ):
        if not 0 <= wanted <= there:
            raise ValueError(f"{name} is {wanted}: expected at most the {there} images there are")
    validation = slice(num_training, num_training + num_validation)
    data = {
        "X_train": Xtr[:num_training], "y_train": Ytr[:num_training],
        "X_val": Xtr[validation], "y_val": Ytr[validation],
        "X_test": Xte[:num_test], "y_test": Yte[:num_test],
    }  # fmt: skip
    mean = data["X_train"].mean(axis=0) if subtract_mean and num_training else 0.0
    for name in ("X_train", "X_val", "X_test"):
        data[name] = (data[name] - mean).transpose(0, 3, 1, 2).copy()
    return data
