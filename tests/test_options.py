"""Every option, alone and in combination: the engine against the reference, the reference against other truths."""

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jitloss
from jitloss import softmax_loss, svm_loss
from jitloss.implementations import supporting
from jitloss.losses import LOSSES as TABLE
from problems import DTYPES, IMPLEMENTATIONS, JIT_DISABLED, LOSSES, assert_close, assert_same_bits, make

FUNCTIONS = {"svm": svm_loss, "softmax": softmax_loss}
# Both sides of a vector, a tile, a strip, a block, several lanes; few classes, groups of them, many.
ROWS = [0, 1, 2, 9, 10, 11, 15, 16, 17, 33, *([] if JIT_DISABLED else [63, 64, 65, 127, 129, 200, 1000])]
CLASSES = [1, 2, 3, 7, 10, 11, 16, 17, 26, *([] if JIT_DISABLED else [33, 100, 129, 140])]
FORMS = [(), ("W",), ("b",), ("X",), ("W", "b"), ("X", "W"), ("W", "b", "X")]


@st.composite
def problems(draw):
    """A loss, its arguments and options, and a dtype."""
    loss, dtype, seed = draw(st.sampled_from(LOSSES)), draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**32 - 1))
    shape = draw(st.sampled_from(ROWS)), draw(st.integers(1, 70)), draw(st.sampled_from(CLASSES))
    random, options = np.random.default_rng(seed), {}
    if draw(st.booleans()):
        options["bias"] = np.linspace(-0.5, 0.7, shape[2]).astype(dtype)
    if loss == "svm":
        options["margin"] = draw(st.sampled_from([1.0, 0.0, 0.3, 4.0]))
        options["power"] = draw(st.sampled_from([1, 2]))
        options["multiclass"] = draw(st.sampled_from(list(TABLE["svm"].forms)))
    else:
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    W, X, y = make(shape, dtype, seed, options.get("margin", 1.0), options.get("bias"))
    if draw(st.booleans()):
        weights = random.uniform(0, 3, shape[0]) * (random.random(shape[0]) < 0.7)
        options["sample_weight"] = np.maximum(weights, 1e-3 * (np.arange(shape[0]) < 1)).astype(dtype)
    if draw(st.booleans()):
        weights = random.uniform(0.1, 3, shape[2])
        options["class_weight"] = weights if draw(st.booleans()) else dict(enumerate(weights.tolist()))
    ignored = draw(st.sampled_from([None, -100, 0]))
    if ignored is not None:
        options["ignore_index"] = ignored
        y[random.random(shape[0]) < draw(st.sampled_from([0.0, 0.4, 1.0]))] = ignored
    options["reduction"] = draw(st.sampled_from(["mean", "sum", "none"]))
    options["reg"] = 0.0 if options["reduction"] == "none" else draw(st.sampled_from([0.0, 0.1]))
    options["wrt"] = draw(st.sampled_from([w for w in FORMS if "bias" in options or "b" not in w]))
    return loss, dtype, (W, X, y), options


def weighs_something(y, options):
    """Not all weights of samples that are not ignored are 0."""
    kept = np.ones(len(y), bool) if "ignore_index" not in options else y != options["ignore_index"]
    weights = options.get("sample_weight", np.ones(len(y)))
    return not kept.any() or weights[kept].sum() > 0


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60 if JIT_DISABLED else 400)
@given(problem=problems())
def test_random_combinations(problem):
    """All implementations that claim the options, both dtypes, every wrt."""
    loss, dtype, arguments, options = problem
    if not weighs_something(arguments[2], options):
        return
    asked = [name for name in options if name not in ("reg", "wrt")]
    names = supporting(*asked)
    assert names == ["numpy", "fused"]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arguments]
    expected = FUNCTIONS[loss](*wide, **options, implementation="numpy")
    # Roundings of a sum grow with its terms, which may cancel out (as with one class): it is compared as a mean is.
    n_terms = max(len(arguments[2]), 1) if options["reduction"] == "sum" else 1
    for name in names:
        found = FUNCTIONS[loss](*arguments, **options, implementation=name)
        assert_close([part / n_terms for part in found], [part / n_terms for part in expected], dtype)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("multiclass", "of_all"), [("weston_watkins", sum), ("crammer_singer", max)])
def test_svm_by_its_definition(multiclass, of_all, margin, power):
    """Python's own arithmetic, sample by sample."""
    S, y = np.random.default_rng(0).normal(0, 2, (20, 4)), np.arange(20) % 4
    expected, slopes = [], np.zeros((20, 4))
    for i, (s, label) in enumerate(zip(S.tolist(), y.tolist(), strict=True)):
        hinges = {j: max(0.0, s[j] - s[label] + margin) for j in range(4) if j != label}
        expected.append(of_all(hinge**power for hinge in hinges.values()))
        worst = max(hinges, key=hinges.__getitem__)
        for j, hinge in hinges.items():
            if hinge > 0 and (multiclass == "weston_watkins" or j == worst):
                slopes[i, j] = 1.0 if power == 1 else 2 * hinge
        slopes[i, label] = -sum(slopes[i])
    for name in ("numpy", "fused"):
        found, dX = svm_loss(
            np.eye(4), S, y, margin=margin, power=power, multiclass=multiclass, reduction="none", wrt="X",
            implementation=name,
        )  # fmt: skip
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        np.testing.assert_allclose(dX, slopes, rtol=1e-13)  # W is the identity


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_smoothed_softmax_against_mpmath(smoothing):
    """Σ_c t_c (log Σ exp − s_c) with t = (1 − ε) v_y onehot + ε v / C, in fifty digits."""
    S, y = np.random.default_rng(0).normal(0, 3, (6, 3)), [0, 1, 2, 2, 1, 0]
    v = [0.5, 2.0, 1.25]
    with mpmath.workdps(50):
        expected = []
        for s, label in zip(S.tolist(), y, strict=True):
            lse = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in s))
            t = [(1 - smoothing) * v[c] * (c == label) + smoothing * v[c] / 3 for c in range(3)]
            expected.append(float(mpmath.fsum(t[c] * (lse - s[c]) for c in range(3))))
    for name in ("numpy", "fused"):
        options = {"label_smoothing": smoothing, "class_weight": v, "implementation": name}
        found = softmax_loss(np.eye(3), S, y, reduction="none", wrt=(), **options)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        mean = softmax_loss(np.eye(3), S, y, wrt=(), **options)[0]
        assert mean == pytest.approx(sum(expected) / sum(v[label] for label in y), rel=1e-14)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    ("loss", "own"),
    [("svm", {}), ("svm", {"power": 2, "margin": 2.0}), ("svm", {"multiclass": "crammer_singer"}),
     ("svm", {"multiclass": "crammer_singer", "power": 2}), ("softmax", {"label_smoothing": 0.2}), ("softmax", {})],
)  # fmt: skip
def test_gradients_against_central_differences(loss, own, reduction):
    """Of the reference, all options together: h² and eps / h leave about 1e-9."""
    bias, margin = np.array([0.3, -0.2, 0.1, 0.0]), own.get("margin", 1.0)
    W, X, y = make((12, 5, 4), seed=3, margin=margin, bias=bias)
    y[[2, 5]] = 7
    options = own | {
        "sample_weight": np.linspace(0, 2, 12), "class_weight": [1, 2, 0.5, 3], "ignore_index": 7,
        "reduction": reduction, "implementation": "numpy",
    }  # fmt: skip
    gradients = FUNCTIONS[loss](W, X, y, 0.3, bias=bias, wrt=("W", "b", "X"), **options)[1:]
    for array, gradient in zip((W, bias, X), gradients, strict=True):
        for index in np.ndindex(array.shape):
            before, values = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = before + step
                values.append(FUNCTIONS[loss](W, X, y, 0.3, bias=bias, wrt=(), **options)[0])
            array[index] = before
            assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradient[index], abs=1e-7)


@pytest.mark.parametrize("name", supporting("multiclass"))
@pytest.mark.parametrize("dtype", DTYPES)
def test_crammer_singer_by_hand(name, dtype):
    """Scores 0, 2, 2, 2 with label 0: each lacks 3; the first has the slope. A margin just kept costs nothing."""
    options = {"multiclass": "crammer_singer", "wrt": "X", "implementation": name}
    for n_classes in (4, 150):  # the rest of them far below
        S = np.full((3, n_classes), -9.0, dtype)
        S[:, :4] = [[0, 2, 2, 2], [1, 1, 1, 2], [3, 2, 0, 1]]
        for power, slope in ((1, 1), (2, 6)):
            loss, dX = svm_loss(np.eye(n_classes, dtype=dtype), S, [0, 3, 0], power=power, **options)
            assert loss == 3**power / 3
            expected = np.zeros((3, n_classes))
            expected[0, :2] = -slope / 3, slope / 3
            np.testing.assert_allclose(dX, expected, rtol=1e-6)


@pytest.mark.parametrize("name", supporting("multiclass"))
@pytest.mark.parametrize("n_classes", [4, 150])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_crammer_singer_hides_no_nan(bad, n_classes, name):
    """Wherever among the classes it stands, before or after the largest."""
    for column in (1, n_classes - 1):
        S = np.linspace(-2, 2, 3 * n_classes).reshape(3, n_classes)
        S[1, column] = bad
        options = {"multiclass": "crammer_singer", "reduction": "none", "implementation": name}
        loss = svm_loss(np.eye(n_classes), S, [0] * 3, wrt=(), **options)[0]
        assert np.isfinite(loss).tolist() == [True, False, True]
        # In that class alone, in all samples: 0 times `bad` is NaN.
        loss = svm_loss(S, np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), [0] * 2, wrt=(), **options)[0]
        assert not np.isfinite(loss).any()


@pytest.mark.parametrize("name", supporting("sample_weight"))
@pytest.mark.parametrize("loss", LOSSES)
def test_an_integer_weight_is_a_sample_given_several_times(loss, name):
    W, X, y = make((30, 6, 4))
    weights = np.arange(30) % 4
    expected = FUNCTIONS[loss](W, np.repeat(X, weights, axis=0), np.repeat(y, weights), 0.1, implementation=name)
    assert_close(FUNCTIONS[loss](W, X, y, 0.1, sample_weight=weights, implementation=name), expected, "float64")


@pytest.mark.parametrize("name", supporting("sample_weight"))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "shape", [(40, 7, 5), (40, 1100, 5), (40, 7, 140), (5, 7, 3), (5, 40, 3), (5, 40, 14)], ids=str
)
@pytest.mark.parametrize("why", ["ignored", "sample", "class"])
def test_what_weighs_nothing_counts_for_nothing(loss, shape, dtype, name, why):
    """FAULTS, row 10: rows of weight 0 are as if absent, NaN and infinity in them or not."""
    W, X, y = make(shape, dtype)
    y[y == 1] = 0
    out = np.zeros(len(y), bool)
    out[[0, 2, 3]] = True
    X[2], X[3, -1], X[3, 0] = np.nan, np.inf, -np.inf
    weights, options = np.ones(len(y)), {}
    if why == "ignored":
        y[out], options["ignore_index"] = -1, -1
    elif why == "sample":
        weights[out] = 0
        options["sample_weight"] = weights
    else:
        y[out], options["class_weight"] = 1, {1: 0.0}
    expected = FUNCTIONS[loss](W, X[~out], y[~out], 0.1, wrt=("W", "X"), implementation="numpy")
    loss_found, dW, dX = FUNCTIONS[loss](W, X, y, 0.1, wrt=("W", "X"), implementation=name, **options)
    assert_close((loss_found, dW, dX[~out]), expected, dtype)
    assert not dX[out].any()
    each = FUNCTIONS[loss](W, X, y, reduction="none", implementation=name, **options)[0]
    assert not each[out].any()


@pytest.mark.parametrize("name", supporting("ignore_index"))
@pytest.mark.parametrize("loss", LOSSES)
def test_all_labels_ignored(loss, name):
    """FAULTS, row 34: no error; the loss of the data and its gradients are 0, the regulariser still counts."""
    W, X, _ = make((4, 3, 2))
    X[1] = np.nan
    value, dW, dX = FUNCTIONS[loss](W, X, [-1] * 4, 2.0, ignore_index=-1, wrt=("W", "X"), implementation=name)
    assert value == pytest.approx((W * W).sum(), rel=1e-15)
    np.testing.assert_array_equal(dW, 2 * W)
    assert not dX.any()


@pytest.mark.parametrize("name", supporting("ignore_index"))
@pytest.mark.parametrize("kind", ["i1", "u1", ">i4", "u8", "i8"])
def test_labels_to_ignore_of_any_dtype(kind, name):
    """A label to ignore that the dtype cannot hold ignores nothing."""
    W, X, y = make((9, 4, 3))
    labels = y.astype(kind)
    for ignored in (-100, 2, 300, 2**70):
        found = svm_loss(W, X, labels, ignore_index=ignored, implementation=name)
        kept = y != ignored
        assert_close(found, svm_loss(W, X[kept], y[kept], implementation=name), "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_of_one_change_no_bit_of_a_gradient(loss, dtype):
    """The unweighted way and the weighted one are the same arithmetic; only their logarithms are taken apart."""
    W, X, y = make((150, 20, 10), dtype)
    for more in ({}, {"power": 2}) if loss == "svm" else ({},):
        plain = FUNCTIONS[loss](W, X, y, 0.1, **more)
        for options in ({"sample_weight": np.ones(150)}, {"class_weight": np.ones(10)}, {"ignore_index": -1}):
            found = FUNCTIONS[loss](W, X, y, 0.1, **options, **more)
            assert_same_bits(found[1:], plain[1:])
            assert found[0] == pytest.approx(plain[0], rel=1e-15)


@pytest.mark.parametrize("reduction", ["sum", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_reductions_agree(loss, reduction):
    """Sum = N times mean; the N losses add up to the sum and are of the compute dtype."""
    W, X, y = make((50, 6, 4), "float32")
    mean, dW = FUNCTIONS[loss](W, X, y)
    found, gradient = FUNCTIONS[loss](W, X, y, reduction=reduction)
    np.testing.assert_allclose(np.sum(found, dtype=np.float64), 50 * mean, rtol=1e-6)
    np.testing.assert_allclose(gradient, 50 * dW, rtol=1e-5, atol=1e-4)
    assert reduction == "sum" or (found.dtype == np.float32 and found.shape == (50,))


@pytest.mark.parametrize("options", [{"sample_weight": [1e-310] * 6}, {"class_weight": [1e-310] * 4}], ids=str)
def test_tiny_weights(options):
    """Only their shares count."""
    for function in FUNCTIONS.values():
        expected = function(W6, X6, Y6)
        for name in ("numpy", "fused"):
            found = function(W6, X6, Y6, implementation=name, **options)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-9)
            assert found[0] == pytest.approx(expected[0], rel=1e-9)


@pytest.mark.parametrize("name", supporting("ignore_index"))
@pytest.mark.parametrize("n_classes", [3, 140])
def test_inputs_without_weight_have_no_gradient_whatever_the_weights(name, n_classes):
    """0 times an infinite W is NaN, and stays out of dX."""
    W, X, y = make((4, 3, n_classes))
    W[1, 1], y[2] = np.inf, -1
    for function in FUNCTIONS.values():
        assert not function(W, X, y, ignore_index=-1, wrt="X", implementation=name)[1][2].any()


def test_huge_weights_in_float32():
    """Weights are float64 until they are divided by their sum."""
    W, X, y = make((20, 6, 4), "float32")
    for function in FUNCTIONS.values():
        expected = function(W, X, y)
        for name in ("numpy", "fused"):
            assert_close(function(W, X, y, sample_weight=[1e300] * 20, implementation=name), expected, "float32")


def test_infinite_scores_of_classes_without_target():
    """A class that is no target may be −∞; a smoothed one may not."""
    W, X = np.array([[0.0, 1.0, -np.inf]]), np.ones((1, 1))
    for name in ("numpy", "fused"):
        assert softmax_loss(W, X, [1], implementation=name)[0] == pytest.approx(np.log1p(np.exp(-1)), rel=1e-15)
        assert softmax_loss(W, X, [1], label_smoothing=0.1, implementation=name)[0] == np.inf


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("lacking", ["loop", "jit"])
def test_an_option_that_is_lacking_is_refused(loss, lacking):
    """FAULTS, row 35: the message names those that have it; the default, spelled out, is no option."""
    W, X, y = make((6, 3, 4))
    y[y == 1] = 0
    values = {
        "margin": 0.5, "power": 2, "label_smoothing": 0.2, "bias": np.zeros(4), "sample_weight": np.ones(6),
        "class_weight": {0: 2.0}, "ignore_index": 1, "reduction": "sum", "multiclass": "crammer_singer",
    }  # fmt: skip
    for option in (*TABLE[loss].options, "bias", "sample_weight", "class_weight", "ignore_index", "reduction"):
        message = rf"{lacking!r} does not support {option}; these do: 'auto', 'numpy', 'fused'"
        with pytest.raises(ValueError, match=message):
            FUNCTIONS[loss](W, X, y, implementation=lacking, **{option: values[option]})
    usual = {"margin": np.float32(1), "power": np.int8(1), "multiclass": "weston_watkins"}
    usual = {"reduction": "mean", **(usual if loss == "svm" else {"label_smoothing": 0})}
    expected = FUNCTIONS[loss](W, X, y, implementation=lacking)
    assert_same_bits(FUNCTIONS[loss](W, X, y, implementation=lacking, **usual), expected)


W6, X6, Y6 = make((6, 3, 4))


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sample_weight": [1, 2]}, ValueError, r"sample_weight has shape \(2,\): expected \(6,\)"),
        ({"sample_weight": [1, 2, np.nan, 1, 1, 1]}, ValueError, r"sample_weight\[2\] is nan"),
        ({"sample_weight": [1, 2, 1, 1, -1, 1]}, ValueError, r"sample_weight\[4\] is -1"),
        ({"sample_weight": [np.inf] * 6}, ValueError, r"sample_weight\[0\] is inf"),
        ({"sample_weight": [0] * 6}, ValueError, "sum to 0.0"),
        ({"sample_weight": [1e308] * 6}, ValueError, "sum to inf"),
        ({"sample_weight": ["1"] * 6}, TypeError, "sample_weight has dtype"),
        ({"class_weight": [1, 2]}, ValueError, r"class_weight has shape \(2,\): expected \(4,\)"),
        ({"class_weight": [1, 2, -3, 1]}, ValueError, r"class_weight\[2\] is -3"),
        ({"class_weight": {4: 1.0}}, ValueError, "names class 4: expected classes from 0 to 3"),
        ({"class_weight": {"a": 1.0}}, TypeError, "a key of class_weight is 'a'"),
        ({"class_weight": {0: np.nan}}, ValueError, r"class_weight\[0\] is nan"),
        ({"class_weight": dict.fromkeys(range(4), 0)}, ValueError, "sum to 0.0"),
        ({"class_weight": "balanced"}, ValueError, "Objective"),
        ({"ignore_index": 1.0}, TypeError, "ignore_index is 1.0: expected a whole number"),
        ({"ignore_index": -1, "y": [0, 1, 2, -1, 4, 0]}, ValueError, r"y\[4\] is 4: expected labels from 0 to 3"),
        ({"reduction": "average"}, ValueError, "reduction is 'average': expected one of 'mean', 'sum', 'none'"),
        ({"reduction": None}, TypeError, "reduction is None"),
        ({"reduction": "none", "reg": 0.1}, ValueError, "reg is 0.1 with reduction='none': expected 0"),
        ({"margin": -1}, ValueError, "margin is -1.0"),
        ({"margin": np.nan}, ValueError, "margin is nan"),
        ({"margin": "1"}, TypeError, "margin is '1'"),
        ({"power": 3}, ValueError, "power is 3: expected 1 or 2"),
        ({"power": 2.0}, TypeError, "power is 2.0"),
        ({"multiclass": "ovr"}, ValueError, "multiclass is 'ovr': expected one of 'weston_watkins'"),
        ({"label_smoothing": 1.1}, ValueError, "label_smoothing is 1.1: expected a number from 0 to 1"),
        ({"label_smoothing": -0.1}, ValueError, "label_smoothing is -0.1"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(options, error, message, implementation):
    """FAULTS, row 34: before anything is computed or written, whatever the implementation."""
    function = softmax_loss if "label_smoothing" in options else svm_loss
    out = np.full((3, 4), 7.0)
    with pytest.raises(error, match=message):
        function(**{"W": W6, "X": X6, "y": Y6, "out": out, "implementation": implementation} | options)
    assert (out == 7).all()


def test_the_callers_weights_are_not_changed_and_not_written_to():
    weights = np.ones(6)
    before = weights.copy()
    svm_loss(W6, X6, Y6, sample_weight=weights, ignore_index=0)
    np.testing.assert_array_equal(weights, before)
    with pytest.raises(ValueError, match="overlaps sample_weight"):
        jitloss.svm_loss(W6[:1, :2], X6[:2, :1], [0, 1], sample_weight=weights[:2], out=weights[:2].reshape(1, 2))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_pytorch(reduction):
    """Weston–Watkins is C times multi_margin_loss; class weights, smoothing and ignored labels as in cross_entropy."""
    torch = pytest.importorskip("torch")
    W, X, y = make((60, 8, 5))
    y[::7] = -100
    v = np.array([0.5, 1, 2, 3, 0.1])
    S = torch.tensor(X @ W, requires_grad=True)
    for smoothing in (0.0, 0.3):
        expected = torch.nn.functional.cross_entropy(
            S, torch.tensor(y), torch.tensor(v), ignore_index=-100, label_smoothing=smoothing, reduction=reduction
        )
        (dS,) = torch.autograd.grad(expected, S)
        options = {"class_weight": v, "ignore_index": -100, "label_smoothing": smoothing, "reduction": reduction}
        found = softmax_loss(np.eye(5), X @ W, y, wrt="X", **options)
        assert_close(found, (expected.item(), dS.numpy()), "float64")
    kept = y >= 0
    S = torch.tensor((X @ W)[kept], requires_grad=True)
    for power in (1, 2):
        expected = 5 * torch.nn.functional.multi_margin_loss(
            S, torch.tensor(y[kept]), p=power, margin=0.7, reduction=reduction
        )
        (dS,) = torch.autograd.grad(expected, S)
        found = svm_loss(np.eye(5), (X @ W)[kept], y[kept], margin=0.7, power=power, reduction=reduction, wrt="X")
        assert_close(found, (expected.item(), dS.numpy()), "float64")
