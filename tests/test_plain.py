"""The plain call: the same as any other, to the last bit; whatever is out of the ordinary goes the long way."""

import numpy as np
import pytest

from jitloss import losses, plain, softmax_loss, svm_loss
from jitloss_kernels import fused
from problems import DTYPES, assert_same_bits, make, needs_jit

FUNCTIONS = {"softmax": softmax_loss, "weston_watkins": svm_loss}
SHAPES = [(32, 64, 10), (1, 1, 2), (7, 300, 3), (300, 20, 8), (90, 7, 40), (3, 9, 1)]


def plainly(
    form, W, X, y, reg=0.3, reg_scale=1.0, n_threads=None, implementation="auto",
    bias=None, sample_weight=None, ignore_index=None, wrt=None,
):  # fmt: skip
    return plain.evaluate(
        form, W, X, y, bias, sample_weight, ignore_index, reg, reg_scale, wrt, n_threads, implementation
    )


def more(shape, dtype):
    """What else a plain call may have, some of it and all of it."""
    (n, _, c), random = shape, np.random.default_rng(7)
    weights, bias = random.random(n).astype(dtype), random.standard_normal(c).astype(dtype)
    weights[n // 2] = 0
    return [
        {"bias": bias}, {"sample_weight": weights}, {"ignore_index": c // 2}, {"ignore_index": 99},
        {"sample_weight": weights.astype(np.float64)[::-1], "bias": bias[::-1].copy()},
        {"bias": bias, "sample_weight": weights + 1, "ignore_index": c - 1},
    ]  # fmt: skip


@pytest.fixture
def no_long_way(monkeypatch):
    """All but the plain way is closed."""
    monkeypatch.setattr(losses.checks, "problem", lambda *_: pytest.fail("this call is plain"))


@pytest.mark.parametrize("form", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_of_the_long_way(form, dtype, shape):
    """The long way is the one with gradients in a tuple."""
    W, X, y = make(shape, dtype)
    loss, dW = plainly(form, W, X, y)
    assert type(loss) is float
    assert_same_bits((loss, dW), FUNCTIONS[form](W, X, y, 0.3, reg_scale=1.0, wrt=("W",)))
    for asked in more(shape, dtype) if min(shape[0], shape[2]) > 1 else ():
        for wrt, named in ((None, ("W", "b") if "bias" in asked else ("W",)), ("W", ("W",))):
            found = plainly(form, W, X, y, wrt=wrt, **asked)
            assert type(found[0]) is float
            assert_same_bits(found, FUNCTIONS[form](W, X, y, 0.3, reg_scale=1.0, wrt=named, **asked))
        if asked.keys() - {"bias"}:
            backwards = np.ascontiguousarray(y[::-1])[::-1]  # the same labels, with another stride
            assert_same_bits(plainly(form, W, X, backwards, wrt="W", **asked), found)


@pytest.mark.parametrize("form", FUNCTIONS)
def test_the_usual_call_is_plain(form, no_long_way):
    """Positional or by name, with or without a regulariser, also of read-only arrays."""
    W, X, y = make((30, 20, 4))
    function = FUNCTIONS[form]
    found = function(W, X, y)
    assert_same_bits(function(W, X, y, 0.0, implementation="fused"), found)
    assert_same_bits(function(W=W, X=X, y=y, reg=0.0), found)
    assert_same_bits(function(W, X, y, n_threads=1), found)
    assert len(function(W, X, y, 0.0, bias=np.ones(4), sample_weight=np.ones(30), ignore_index=2)) == 3
    for array in (W, X, y):
        array.flags.writeable = False
    assert_same_bits(function(W, X, y), found)


def test_what_is_asked_for_is_seen(monkeypatch):
    """Each argument that is not its default, one by one: none of them comes to the plain way with a form."""
    seen = []
    monkeypatch.setattr(plain, "evaluate", lambda form, *_: seen.append(form))
    W, X, y = make((30, 20, 4))
    asked = [
        {"margin": 2.0}, {"power": 2}, {"multiclass": "crammer_singer"}, {"class_weight": np.ones(4)},
        {"class_weight": {}}, {"reduction": "sum"}, {"reduction": "none", "sample_weight": np.ones(30)},
    ]  # fmt: skip
    for options in asked:
        svm_loss(W, X, y, **options)
    softmax_loss(W, X, y, label_smoothing=0.1)
    assert seen == [None] * (len(asked) + 1)
    seen.clear()
    svm_loss(W, X, y, out=np.empty((20, 4)))
    assert seen == []


def not_plain():
    W, X, y = make((30, 20, 4))
    bad = y.copy()
    bad[7] = 4
    negative = y.copy()
    negative[29] = -1
    strided = np.empty((30, 40))[:, ::2]
    strided[:] = X
    odd = np.empty(X.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(X.shape)
    odd[:] = X
    return {
        "a label too large": (W, X, bad),
        "a negative label": (W, X, negative),
        "labels of another type": (W, X, y.astype(np.int32)),
        "a label too few": (W, X, y[:-1]),
        "labels in two dimensions": (W, X, y[:, None]),
        "lists": (W.tolist(), X, y),
        "a list of labels": (W, X, y.tolist()),
        "Fortran order": (W, np.asfortranarray(X), y),
        "W in Fortran order": (np.asfortranarray(W), X, y),
        "strides": (W, strided, y),
        "odd addresses": (W, odd, y),
        "two dtypes": (W.astype(np.float32), X, y),
        "integers": (W.astype(np.int64), X.astype(np.int64), y),
        "the other byte order": (W.astype(W.dtype.newbyteorder()), X.astype(X.dtype.newbyteorder()), y),
        "a masked array": (np.ma.MaskedArray(W), X, y),
        "X too narrow": (W, X[:, :-1].copy(), y),
        "X in three dimensions": (W, X[None], y),
        "no samples": (W, X[:0], y[:0]),
        "no features": (W[:0], X[:, :0], y),
        "no classes": (W[:, :0], X, y),
    }


NOT_PLAIN = not_plain()


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_arrays_that_are_not_plain(name):
    """Right or wrong, they are left to those who look closely."""
    assert plainly("softmax", *NOT_PLAIN[name]) is None


ODD = {
    "bias": [[1.0] * 4, np.ones(3), np.ones((1, 4)), np.ones(4, np.float32), np.ones(4, int), 1.0, np.ones(8)[::2]],
    "sample_weight": [
        [1.0] * 30, np.ones(29), np.ones((30, 1)), np.ones(30, int), np.zeros(30), np.full(30, 1e-300), 1.0,
        np.full(30, 1e300), *(np.where(np.arange(30) == 7, value, 1.0) for value in (-1, np.nan, np.inf, -np.inf)),
    ],
    "wrt": ["X", "b", "", "w", (), ("W",), ["W"], ("W", "X"), np.array("W"), 1],
    "ignore_index": [True, 1.0, np.int64(1), "1", 1 << 63],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_what_else_is_not_plain(name, value):
    """Right or wrong, it is left to those who look closely."""
    assert plainly("softmax", *make((30, 20, 4)), **{name: value}) is None


@pytest.mark.parametrize("more", [{}, {"sample_weight": np.ones(30)}], ids=["plain", "weighed"])
@pytest.mark.parametrize("multiclass", [np.array("weston_watkins"), np.array(["a", "b"])], ids=["equal", "two"])
def test_an_array_is_no_name_of_a_form(multiclass, more):
    with pytest.raises(TypeError, match="multiclass is array"):
        svm_loss(*make((30, 20, 4)), multiclass=multiclass, **more)


def test_a_dtype_that_carries_metadata():
    """The gradient does not."""
    W, X, y = make((30, 20, 4))
    tagged = np.dtype(np.float64, metadata={"unit": "px"})
    assert plainly("softmax", W.astype(tagged), X.astype(tagged), y)[1].dtype.metadata is None


def test_labels_that_are_all_ignored_are_not_plain():
    """Their weights have no sum to divide by; nor may a wrong label hide behind others that are ignored."""
    W, X, y = make((30, 20, 4))
    assert plainly("softmax", W, X, np.full(30, 7), ignore_index=7) is None
    y[3], y[4] = 7, 8
    assert plainly("softmax", W, X, y, ignore_index=7) is None


@pytest.mark.parametrize("reg", [-1.0, np.nan, np.inf, 0, True, np.float64(0.1), "1", None])
def test_numbers_that_are_not_plain(reg):
    """Among them what is wrong; each as `reg` and as `reg_scale`, and the two whose product is too large."""
    W, X, y = make((30, 20, 4))
    assert plainly("softmax", W, X, y, reg) is None
    assert plainly("softmax", W, X, y, 1.0, reg) is None
    assert plainly("softmax", W, X, y, 1e200, 1e200) is None


@pytest.mark.parametrize("n_threads", [0, -1, 1.0, True, "1", np.int64(1)])
def test_numbers_of_threads_that_are_not_plain(n_threads):
    """Among them what is wrong."""
    assert plainly("softmax", *make((30, 20, 4)), n_threads=n_threads) is None


def test_as_many_threads_as_asked_for(monkeypatch):
    """The number comes to the engine."""
    seen, solve = [], fused.solve
    monkeypatch.setattr(fused, "solve", lambda *given: (seen.append(given[11]), solve(*given))[1])
    for n_threads in (1, 2, None):
        softmax_loss(*make((30, 20, 4)), n_threads=n_threads)
    assert seen == [1, 2, None]


@pytest.mark.parametrize("name", ["jit", "numpy", "loop", "x", None, 3, ["auto"], np.array(["auto"])])
def test_other_implementations_are_not_plain(name):
    """And what is no name of one."""
    W, X, y = make((30, 20, 4))
    assert plainly("softmax", W, X, y, implementation=name) is None
    assert plainly(None, W, X, y) is None


@pytest.mark.parametrize("weights", [None, np.arange(30.0)], ids=["plain", "weighed"])
def test_labels_changed_meanwhile_are_not_used(monkeypatch, weights):
    """What the kernel reads is a copy that nobody else has; so are the weights."""
    W, X, y = make((30, 20, 4))
    given = None if weights is None else weights.copy()
    expected, solve = softmax_loss(W, X, y, sample_weight=given), fused.solve

    def spoil(*arguments):
        y[:] = 1 << 40
        if given is not None:
            given[:] = np.nan
        return solve(*arguments)

    monkeypatch.setattr(fused, "solve", spoil)
    assert_same_bits(softmax_loss(W, X, y, sample_weight=given), expected)


@needs_jit
def test_where_there_can_be_no_pivot_the_long_way_is_taken():
    """A weight that is infinite: the loss and gradient are those of the reference."""
    W, X, y = make((100, 20, 8))
    W[3, 5] = np.inf
    assert fused.setup("softmax", 100, 20, 8, W.dtype, X.dtype, "flat", False, ("W",), True).pivots
    assert plainly("softmax", W, X, y) is None
    with np.errstate(invalid="ignore"):
        expected = softmax_loss(W, X, y, implementation="numpy")
    np.testing.assert_array_equal(softmax_loss(W, X, y)[0], expected[0])
