"""Rows 1–9, 22, 34 and 35 of the promises about faults: clear errors, before anything runs or is written."""

import numpy as np
import pytest

import jitloss
from problems import IMPLEMENTATIONS, make

W, X, Y = make((6, 3, 4))


class Sparse:
    """Looks like a sparse matrix of SciPy."""

    shape = (6, 3)

    def tocsr(self):
        return self


def call(implementation="jit", **changes):
    arguments = {"W": W, "X": X, "y": Y, "reg": 0.1} | changes
    return jitloss.svm_loss(**arguments, implementation=implementation)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("dtype", "bad"),
    [("i1", -1), ("i1", 4), ("i8", -1), ("i8", -(2**62)), (">i4", 100), ("u1", 255), ("u8", 4), ("u8", 2**63 + 1)],
)
def test_label_out_of_range(implementation, dtype, bad):
    """The first bad label is named; a huge uint64 does not wrap around into the range."""
    y = Y.astype(dtype)
    y[3:] = bad
    with pytest.raises(ValueError, match=rf"y\[3\] is {bad}: expected labels from 0 to 3"):
        call(implementation, y=y)


@pytest.mark.parametrize(
    "y",
    [Y.astype(float), Y > 1, [str(label) for label in Y], [np.nan] * 6, np.array([*Y[:-1], None]), [2**70] * 6,
     np.ma.array(Y), np.array(Y, "m8[s]"), np.empty(0, float)],
)  # fmt: skip
def test_labels_that_are_not_integers(y):
    """Never truncated."""
    with pytest.raises(TypeError, match=r"^y .*(integers|masked)"):
        call(y=y)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W": W[:2]}, r"W of shape \(2, 4\) does not fit X of shape \(6, 3\)"),
        ({"y": Y[:5]}, r"y of shape \(5,\) does not fit X of shape \(6, 3\)"),
        ({"W": W[0]}, r"W has shape \(4,\): expected two dimensions, \(D, C\)"),
        ({"X": X[None]}, r"X has shape \(1, 6, 3\): expected two dimensions, \(N, D\)"),
        ({"X": []}, r"X has shape \(0,\)"),
        ({"y": Y[:, None]}, r"y has shape \(6, 1\): expected one dimension"),
        ({"W": np.empty((3, 0))}, r"W of shape \(3, 0\) is empty"),
        ({"W": np.empty((0, 4)), "X": np.empty((6, 0))}, r"W of shape \(0, 4\) is empty"),
    ],
)
def test_shapes_that_do_not_match(changes, message):
    """Both shapes are named."""
    with pytest.raises(ValueError, match=message):
        call(**changes)


@pytest.mark.parametrize("name", ["W", "X"])
@pytest.mark.parametrize(
    "convert",
    [lambda a: a.astype(object), lambda a: a.astype(complex), lambda a: a.astype(np.float16), lambda a: np.ma.array(a),
     lambda a: a.astype(np.longdouble), lambda a: a.astype(str), lambda a: Sparse(), lambda a: [[1.0], [1.0, 2.0]]],
)  # fmt: skip
def test_matrices_of_the_wrong_kind(name, convert):
    """object, complex, half, masked, long double, strings, sparse, ragged: the argument is named."""
    with pytest.raises(TypeError, match=rf"^{name} .*(expected|masked|sparse|cannot be read)"):
        call(**{name: convert({"W": W, "X": X}[name])})


def test_an_object_that_fails_to_become_an_array():
    """Its own error is told, as a TypeError that names the argument."""

    class Liar:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("no, not today")

    with pytest.raises(TypeError, match=r"^X .*Liar.*no, not today"):
        call(X=Liar())


def frozen():
    array = np.zeros((3, 4))
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("wrt", "out", "message"),
    [
        ("W", np.zeros((4, 3)), r"out for dW is float64 of shape \(4, 3\): expected float64 of shape \(3, 4\)"),
        ("W", np.zeros((3, 4), np.float32), "expected float64"),
        ("W", np.zeros((3, 4), ">f8"), "expected float64"),
        ("X", np.zeros((3, 4)), r"out for dX .* expected float64 of shape \(6, 3\)"),
        ("W", frozen(), "read-only"),
        ("W", (), "out holds 0 arrays: expected 1"),
        (("W", "X"), np.zeros((3, 4)), "out holds 1 arrays: expected 2"),
        ((), np.zeros((3, 4)), "out holds 1 arrays: expected 0"),
    ],
)
def test_out_that_does_not_fit(wrt, out, message):
    with pytest.raises(ValueError, match=message):
        call(wrt=wrt, out=out)


def test_out_that_overlaps_is_not_written():
    """An input, another out, and the labels' own memory; side by side in one buffer is fine."""
    memory = np.zeros(100)
    shared = memory[:12].reshape(3, 4)
    for changes in (
        {"W": shared, "out": memory[1:13].reshape(3, 4)},
        {"X": memory[:18].reshape(6, 3), "out": memory[17:29].reshape(3, 4)},
        {"y": memory[:6].view(np.int64), "out": memory[2:14].reshape(3, 4)},
        {"wrt": ("W", "X"), "out": (memory[:12].reshape(3, 4), memory[11:29].reshape(6, 3))},
    ):
        with pytest.raises(ValueError, match="overlaps"):
            call(**changes)
    assert not memory.any()
    interleaved = np.zeros((3, 8))
    interleaved[:, ::2] = W
    assert call(W=interleaved[:, ::2], out=interleaved[:, 1::2])[1].any()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_out_that_overlaps_an_input_of_the_other_byte_order(implementation):
    """What is converted for the kernel is the caller's memory all the same."""
    swapped, labels = W.astype(">f8"), Y.astype(">i8")
    for changes in ({"W": swapped, "out": swapped.view("<f8")}, {"y": labels, "W": W[:1], "X": X[:, :1]}):
        changes.setdefault("out", labels.view("<f8")[:4].reshape(1, 4))
        with pytest.raises(ValueError, match="overlaps"):
            call(implementation, **changes)
    assert (swapped == W).all()
    assert (labels == Y).all()


def test_out_that_overlaps_itself_or_is_masked():
    """Several entries in one place in memory cannot hold several numbers."""
    for strides in ((0, 8), (24, 8), (8, 8), (-8, 8), (16, 8), (8, 16)):
        folded = np.lib.stride_tricks.as_strided(np.zeros(100)[50:], (3, 4), strides)
        with pytest.raises(ValueError, match="overlaps itself"):
            call(out=folded)
    with pytest.raises(TypeError, match="without mask"):
        call(out=np.ma.zeros((3, 4)))


def test_labels_are_our_own_before_they_are_checked():
    """Another thread that writes to y after the check cannot make a kernel read out of bounds."""
    from jitloss import checks

    problem = checks.problem(W, X, Y, 0.0, None, checks.Asked(), ["softmax"], 0.5, None, None, None)
    assert not np.shares_memory(problem.y, Y)
    assert problem.y.flags.owndata


@pytest.mark.parametrize("argument", ["reg", "reg_scale"])
@pytest.mark.parametrize("value", [10**400, np.nan, np.inf, -np.inf, -1e-9, np.float32(-1), np.array(-2)])
def test_factor_out_of_range(argument, value):
    with pytest.raises(ValueError, match=f"^{argument} is .*expected a finite number of at least 0"):
        call(**{argument: value})


@pytest.mark.parametrize("argument", ["reg", "reg_scale"])
@pytest.mark.parametrize("value", ["0.1", None, True, 1j, [0.1], np.array([0.1])])
def test_factor_of_the_wrong_kind(argument, value):
    with pytest.raises(TypeError, match=f"^{argument} is .*expected a number"):
        call(**{argument: value})


def test_factors_whose_product_is_beyond_every_float():
    with pytest.raises(ValueError, match=r"^reg_scale \* reg is inf"):
        call(reg=1e200, reg_scale=1e200)


def test_factors_of_any_number_type():
    """int, float32 and a 0-d array are numbers."""
    expected = call(reg=2.0)[0]
    for value in (2, np.float32(2), np.int8(2), np.array(2.0)):
        assert call(reg=value)[0] == expected


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("2", TypeError)]
)
def test_number_of_threads(value, error):
    with pytest.raises(error, match=r"^n_threads is .*expected"):
        call(n_threads=value)


@pytest.mark.parametrize(
    ("wrt", "error"),
    [
        ("b", ValueError),
        ("dW", ValueError),
        (("W", "W"), ValueError),
        ("WX", ValueError),
        (3, TypeError),
        (("W", 1), TypeError),
    ],
)
def test_unknown_gradient(wrt, error):
    with pytest.raises(error, match=r"^wrt "):
        call(wrt=wrt)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("fast", ValueError),
        ("JIT", ValueError),
        (None, TypeError),
        (1, TypeError),
        ([], TypeError),
        (np.array(["auto"]), TypeError),
    ],
)
def test_unknown_implementation(value, error):
    with pytest.raises(error, match=r"^implementation is .*'auto', 'loop', 'numpy', 'jit'"):
        call(implementation=value)


@pytest.mark.parametrize("implementation", ["loop", "numpy"])
def test_option_that_an_implementation_lacks(implementation):
    """The error names those that have it."""
    with pytest.raises(ValueError, match=f"'{implementation}' does not support n_threads; these do: 'auto', 'jit'"):
        call(implementation, n_threads=1)
