"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make the file somewhere else in its folder, then put it in its place."""
    with tempfile.TemporaryDirectory(dir=path.absolute().parent) as folder:
        part = Path(folder) / path.name
        write(part)
        os.replace(part, path)


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an .npz file of that very name: NumPy would add a suffix to one that has none."""
    with path.open("wb") as file:
        np.savez(file, **arrays)
