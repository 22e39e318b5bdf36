"""The suite that asv and the gate run: frozen yardsticks that are right, nothing of the package's inside, no crash."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import accuracy, calls, memory, problems, yardsticks
from jitloss import losses, reference
from problems import DTYPES, LOSSES, assert_close, make, needs_jit

SUITE = Path(__file__).parents[1] / "asv_benchmarks"
DEFINITIONS = {"svm": reference.weston_watkins, "softmax": reference.softmax}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 10, yardsticks.COLUMN_CLASSES, yardsticks.COLUMN_CLASSES + 1])
def test_the_yardstick_is_right(loss, dtype, n_classes):
    """In both of its forms: what everything is divided by has to compute the same thing."""
    W, X, y = make((50, 20, n_classes), dtype)
    value, (dW,) = reference.linear_loss(DEFINITIONS[loss], W, X, y, 0.0, ("W",))
    assert_close(yardsticks.numpy_loss(loss, W, X, y), (value, dW), dtype)
    labels, weights = np.where(np.arange(50) % 7 == 0, -1, y), np.random.default_rng(1).random(50)
    bias = np.random.default_rng(2).standard_normal(n_classes).astype(dtype)
    given = {"bias": bias, "sample_weight": weights, "ignore_index": -1, "wrt": "W"}
    expected = losses.LOSSES[loss].function(W, X, labels, **given, implementation="numpy")
    assert_close(yardsticks.weighted_loss(loss, W, X, labels, bias, weights, -1), expected, dtype)


def test_nothing_of_the_package_but_its_public_names():
    """Else a change of the package could move what it is measured by, and an old commit could not be measured."""
    for path in (SUITE / "benchmarks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            ours = {name for name in names if name.partition(".")[0] in ("jitloss", "jitloss_kernels")}
            assert ours <= {"jitloss", "jitloss.cs231n"}, path.name


def test_what_a_commit_lacks_is_skipped():
    with pytest.raises(NotImplementedError, match="not in this commit"):
        calls.make_loss("softmax", "an implementation of the future", "tiny", "float64")
    with pytest.raises(NotImplementedError, match="not in this commit"):
        calls.make_loss("softmax", "auto", "tiny", "float64", option_of_the_future=1)


def test_problems_are_frozen():
    """The same numbers for ever: what was measured years ago can be compared."""
    W, X, y = problems.generated((3, 2, 2), "float64")
    np.testing.assert_array_equal(y, [0, 1, 1])
    assert X[0, 0] == pytest.approx(0.12573022, abs=1e-8)
    assert W[0, 0] == pytest.approx(1.30400005 / 2**0.5, abs=1e-8)


@needs_jit
def test_scratch_and_errors_are_figures():
    assert 0 < memory.extra_bytes("softmax", "float32") < 64 << 20
    assert 0 < accuracy.largest_error("softmax", "fused", "float64") < 1e-14


def test_versions_are_pinned_exactly():
    """A new numba must not look like a change of ours."""
    text = re.sub(r"^\s*//.*$", "", (SUITE / "asv.conf.json").read_text(), flags=re.MULTILINE)
    for name, versions in json.loads(text)["matrix"]["req"].items():
        assert len(versions) == 1, name
        assert re.fullmatch(r"\d+(\.\d+)+", versions[0]), name
