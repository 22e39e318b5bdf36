"""What a user waits for: the import, and the first call with compiled code on disk and without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROBLEM = "import numpy as np; W, X, y = np.ones((64, 10)), np.ones((32, 64)), np.arange(32) % 10"
FIRST_CALL = "import jitloss; jitloss.softmax_loss(W, X, y)"
EMPTY_CACHE = "import os, tempfile; folder = tempfile.TemporaryDirectory(); os.environ['NUMBA_CACHE_DIR'] = folder.name"


class Import:
    """``import jitloss`` where NumPy is imported already."""

    repeat, rounds, number = 11, 1, 1

    def timeraw_import(self):
        return "import jitloss", "import numpy"


class FirstCallCached:
    """The first call of a process, numba's import included, with compiled code on disk."""

    repeat, rounds, number = 7, 1, 1
    warmup_time = 1e-3  # one that does not count: it may have to compile

    def timeraw_first_call(self):
        return FIRST_CALL, PROBLEM


class FirstCallCold:
    """The same with nothing on disk: what compiling takes."""

    repeat, rounds, number = 2, 1, 1
    warmup_time = 0
    timeout = 300

    def timeraw_first_call(self):
        return FIRST_CALL, f"{EMPTY_CACHE}; {PROBLEM}"


class Compiled:
    """How many functions are compiled for the first call of both losses in float64: files on disk."""

    unit = "functions"
    timeout = 300

    def track_compiled(self):
        code = f"{PROBLEM}; import jitloss; jitloss.svm_loss(W, X, y); jitloss.softmax_loss(W, X, y)"
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-c", code], env=os.environ | {"NUMBA_CACHE_DIR": folder}, check=True)
            return count_compiled(Path(folder))


def count_compiled(cache: Path) -> int:
    """Files that hold machine code; an index, where there is one, is none."""
    return sum(path.is_file() and path.suffix != ".nbi" for path in cache.rglob("*"))
