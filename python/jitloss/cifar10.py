"""CIFAR-10's binary version: sizes and labels are checked before anything is believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

BATCH = 10_000
RECORD = 1 + 3072  # the label, then 32×32 red, green and blue values
TRAINING_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
BINARY_FOLDER = "cifar-10-batches-bin"


class DataError(Exception):
    """A file that is not what it should be; the message says what was found and what was expected."""


def read_records(folder: Path, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 3072) uint8 and labels (N,) int64 of some of the files."""
    parts = []
    for name in names:
        path, expected = folder / name, BATCH * RECORD
        try:
            size = path.stat().st_size
            if size != expected:
                raise DataError(f"{path} has {size} bytes: expected {expected} (CIFAR-10, binary version)")
            parts.append(np.fromfile(path, np.uint8).reshape(BATCH, RECORD))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}: expected a batch of CIFAR-10's binary version") from None
    records = np.concatenate(parts)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise DataError(f"{folder}: a label is {labels.max()}: expected 0 … 9")
    return records[:, 1:], labels
