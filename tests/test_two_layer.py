"""TwoLayerNet: the kernel against the reference, the reference against other truths, training, files."""

import numpy as np
import pytest

from jitloss import TwoLayerNet, reference_net
from jitloss.data import digits
from problems import DTYPES, JIT_DISABLED, ROUNDINGS, check_in_fresh_process, layouts, needs_jit

# Rows around a strip, a block, several blocks and lanes; units and outputs around a tile, and units as many as are
# worth being skipped; several chunks of features, and segments of them.
SHAPES = [
    (1, 1, 1, 1), (5, 4, 10, 3), (17, 9, 11, 10), (33, 70, 21, 11), (16, 8, 5, 2),
    *([] if JIT_DISABLED else [
        (65, 300, 50, 10), (129, 33, 100, 26), (1000, 40, 30, 10), (700, 1100, 12, 130), (130, 1700, 23, 13),
        (70, 1700, 33, 13),
    ]),
]  # fmt: skip


def make(shape, dtype="float64", seed=0):
    """A net, X and y, no unit so near its kink that rounding decides whether it is on."""
    n_rows, n_features, n_hidden, n_outputs = shape
    net = TwoLayerNet(n_features, n_hidden, n_outputs, std=1 / np.sqrt(n_features), rng=seed, dtype=dtype)
    random = np.random.default_rng(seed)
    for name in ("b1", "b2"):
        net.params[name] += random.normal(0, 0.3, net.params[name].shape).astype(dtype)
    X, pending = np.empty((n_rows, n_features), dtype), np.arange(n_rows)
    while len(pending):
        X[pending] = random.standard_normal((len(pending), n_features))
        units = X[pending].astype(float) @ net.params["W1"].astype(float) + net.params["b1"].astype(float)
        pending = pending[(np.abs(units) < 1e-5).any(axis=1)]
    return net, X, random.integers(0, n_outputs, n_rows)


def assert_close(found, expected, dtype):
    """Roundings of the largest entry, as for the linear losses."""
    assert np.isclose(found[0], expected[0], rtol=ROUNDINGS[dtype], atol=0)
    assert list(found[1]) == list(expected[1]) == ["W1", "b1", "W2", "b2"]
    for name, gradient in expected[1].items():
        scale = ROUNDINGS[dtype] * max(1.0, float(np.abs(gradient).max()))
        assert found[1][name].dtype == dtype
        np.testing.assert_allclose(found[1][name], gradient, rtol=0, atol=scale, err_msg=name)


def assert_same(found, expected):
    assert found[0] == expected[0]
    for name, gradient in expected[1].items():
        np.testing.assert_array_equal(found[1][name], gradient, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_agrees_with_the_reference(shape, dtype):
    """Loss, gradients and scores; with and without regularisation."""
    net, X, y = make(shape, dtype)
    wide = {name: array.astype(np.float64) for name, array in net.params.items()}
    for reg in (0.0, 0.3):
        assert_close(net.loss(X, y, reg), reference_net.loss(wide, X.astype(float), y, 0.5 * reg), dtype)
    expected = reference_net.scores(wide, X.astype(float))
    np.testing.assert_allclose(net.loss(X), expected, rtol=0, atol=ROUNDINGS[dtype] * max(1, np.abs(expected).max()))
    np.testing.assert_array_equal(net.predict(X), net.loss(X).argmax(axis=1))


def test_by_hand():
    """One unit on, one off: scores (2·1 + 0.5)·(1, −1); the gradients follow by the chain rule."""
    net = TwoLayerNet(1, 2, 2)
    net.params |= {"W1": np.array([[2.0, -3.0]]), "b1": np.array([0.5, 0.0]), "W2": np.array([[1.0, -1.0], [5.0, 5.0]])}
    p = 1 / (1 + np.exp(-5.0))
    for implementation in ("numpy", "fused"):
        np.testing.assert_allclose(net.loss([[1.0]], implementation=implementation), [[2.5, -2.5]])
        loss, grads = net.loss([[1.0]], [1], reg=2.0, implementation=implementation)
        assert loss == pytest.approx(5 + np.log1p(np.exp(-5.0)) + (4 + 9 + 1 + 1 + 25 + 25), rel=1e-14)
        np.testing.assert_allclose(grads["b2"], [p, -p])
        np.testing.assert_allclose(grads["W2"], [[2.5 * p + 2, -2.5 * p - 2], [10, 10]])
        np.testing.assert_allclose(grads["b1"], [2 * p, 0])
        np.testing.assert_allclose(grads["W1"], [[2 * p + 4, -6]])


@pytest.mark.parametrize("implementation", ["numpy", "fused"])
def test_gradients_against_central_differences(implementation):
    net, X, y = make((9, 5, 7, 4), seed=2)
    grads = net.loss(X, y, 0.2, implementation=implementation)[1]
    for name, array in net.params.items():
        for index in np.ndindex(array.shape):
            before, values = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = before + step
                values.append(net.loss(X, y, 0.2, implementation=implementation)[0])
            array[index] = before
            assert (values[0] - values[1]) / 2e-6 == pytest.approx(grads[name][index], abs=1e-8), name


@pytest.mark.parametrize("hidden", [5, 40])
@pytest.mark.parametrize("shift", [-50, 50])
def test_all_units_off_or_on(hidden, shift):
    """Nothing comes back through units that are off; through those that are on everything does."""
    net, X, y = make((20, 6, hidden, 3))
    net.params["b1"][:] = shift
    found, expected = net.loss(X, y), reference_net.loss(net.params, X, y)
    assert_close(found, expected, "float64")
    assert (found[1]["W1"] != 0).all() == (shift > 0)
    assert (found[1]["W1"] == 0).all() == (shift < 0)


@needs_jit
def test_the_same_bits_for_any_number_of_threads():
    check_in_fresh_process(
        """
        from test_two_layer import *
        for dtype in DTYPES:
            for shape in ((200, 600, 50, 10), (3000, 100, 33, 7)):
                net, X, y = make(shape, dtype)
                expected, scores = net.loss(X, y, 0.1, n_threads=1), net.loss(X, n_threads=1)
                for n_threads in (2, 3, 5, 8, None):
                    for _ in range(3):
                        assert_same(net.loss(X, y, 0.1, n_threads=n_threads), expected)
                        np.testing.assert_array_equal(net.loss(X, n_threads=n_threads), scores)
        """,
        NUMBA_NUM_THREADS="8",
    )


@needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout_has_the_same_bits(dtype, tmp_path):
    net, X, y = make((150, 33, 40, 5), dtype)
    expected, scores = net.loss(X, y), net.loss(X)
    for _, variant in layouts(X, tmp_path):
        assert_same(net.loss(variant, y), expected)
        np.testing.assert_array_equal(net.loss(variant), scores)
    pixels = np.random.default_rng(0).integers(0, 255, X.shape, np.uint8)
    assert_same(net.loss(pixels, y), net.loss(pixels.astype(dtype), y))


@pytest.mark.parametrize("hidden", [31, 32])
def test_from_how_many_units_on_those_that_are_off_are_skipped(hidden):
    from jitloss_kernels.two_layer_plan import plan

    assert (plan(100, 50, hidden, 3, 8, "direct", True).slab > 0) == (hidden == 32)


@pytest.mark.parametrize("hidden", [5, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_units_that_are_off_for_an_infinite_sample(hidden, dtype):
    """The loss is finite, and yet 0 times infinity is NaN, as the definition has it; other features are not."""
    net, X, y = make((20, 6, hidden, 3), dtype)
    net.params["W1"] = abs(net.params["W1"])
    X[2, 1] = -np.inf
    with np.errstate(invalid="ignore"):
        loss, expected = reference_net.loss(net.params, X, y)
    assert np.isfinite(loss)
    assert np.isnan(expected["W1"][1]).all()
    assert_close(net.loss(X, y), (loss, expected), dtype)


@pytest.mark.parametrize("hidden", [4, 40])
@pytest.mark.parametrize("implementation", ["numpy", "fused"])
def test_huge_scores_and_nan(implementation, hidden):
    """Exponentials are shifted; NaN is not hidden by the ReLU, nor by the loss."""
    net, X, y = make((5, 3, hidden, 3))
    net.params["W2"] *= 1e4
    loss, grads = net.loss(X, y, implementation=implementation)
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in grads.values())
    X[2, 1] = np.nan
    loss, grads = net.loss(X, y, implementation=implementation)
    assert np.isnan(loss)
    assert all(np.isnan(g).all() for g in grads.values())
    assert np.isnan(net.loss(X, implementation=implementation)).any(axis=1).tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_no_rows():
    net = TwoLayerNet(3, 4, 2, std=1.0, rng=0)
    loss, grads = net.loss(np.empty((0, 3)), [], reg=1.0)
    assert loss == pytest.approx(0.5 * sum((net.params[name] ** 2).sum() for name in ("W1", "W2")), rel=1e-14)
    np.testing.assert_array_equal(grads["W1"], net.params["W1"])
    assert net.loss(np.empty((0, 3))).shape == (0, 2)


@needs_jit
def test_nothing_of_the_size_of_all_hidden_units():
    """20,000 × 300 hidden units are 48 MB; what is allocated depends on the parameters and on a block."""
    import tracemalloc

    net, another = (make((1, 8, 300, 3))[0] for _ in range(2))
    X, y = np.random.default_rng(0).standard_normal((20_000, 8)), np.zeros(20_000, int)
    another.loss(X, y)  # which compiles; a net keeps its scratch
    tracemalloc.start()
    net.loss(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6, peak


@needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_on_the_digits(dtype):
    """Losses fall, accuracy is high, histories have the right lengths, the same seed has the same result."""
    data = digits()
    nets = [TwoLayerNet(64, 50, 10, std=0.1, rng=3, dtype=dtype) for _ in range(2)]
    steps = 1500
    parts = data.X[:1400], data.y[:1400], data.X[1400:], data.y[1400:]
    for net in nets:
        history = net.train(*parts, learning_rate=0.5, learning_rate_decay=1.0, reg=1e-4, num_iters=steps)
    assert history is net.history
    assert len(history["loss_history"]) == steps
    assert len(history["train_acc_history"]) == len(history["val_acc_history"]) == -(-steps // 7)
    np.testing.assert_array_equal(nets[0].params["W1"], nets[1].params["W1"])
    assert np.mean(history["loss_history"][-10:]) < np.mean(history["loss_history"][:10]) / 3
    assert history["val_acc_history"][-1] > 0.9


@pytest.mark.parametrize("hidden", [5, 40])
def test_a_training_step_is_what_it_says(hidden):
    """W −= learning rate · gradient of the batch drawn, the rate multiplied by the decay once an epoch."""
    net, X, y = make((8, 4, hidden, 3))
    by_hand = {name: array.copy() for name, array in net.params.items()}
    batches = [np.array(batch) for batch in ([0, 1, 1, 7], [2, 3, 4, 5], [6, 6, 6, 6])]
    drawn = iter(batches)
    net._draw = lambda n_samples, batch_size: lambda: next(drawn)
    history = net.train(X, y, X, y, learning_rate=0.1, learning_rate_decay=0.5, reg=0.3, num_iters=3, batch_size=4)
    for number, (batch, rate) in enumerate(zip(batches, (0.1, 0.05, 0.05), strict=True)):
        loss, gradients = reference_net.loss(by_hand, X[batch], y[batch], 0.15)
        assert history["loss_history"][number] == pytest.approx(loss, rel=1e-12)
        for name, gradient in gradients.items():
            by_hand[name] -= rate * gradient
    for name, array in by_hand.items():
        np.testing.assert_allclose(net.params[name], array, rtol=1e-12, atol=1e-14)


def test_an_interrupt_keeps_what_was_learned():
    """FAULTS, row 30."""
    net, X, y = make((50, 4, 5, 3))
    before = net.params["W1"].copy()

    def interrupt(number, loss):
        if number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.train(X, y, X, y, num_iters=100, learning_rate=0.1, on_step=interrupt)
    assert len(net.history["loss_history"]) == 5
    assert (net.params["W1"] != before).any()


def test_nothing_outside_of_what_was_checked_is_used():
    """Parameters changed in the middle, of another shape or dtype, or with another name: what is trained stays."""
    net, X, y = make((50, 4, 5, 3))
    plain, *_ = make((50, 4, 5, 3))
    plain.train(X, y, X, y, num_iters=4)
    changes = iter([("W2", np.zeros((2, 2))), ("b2", np.zeros(3, "f")), ("W1", np.zeros((1, 1))), ("b1", None)])

    def change(number, loss):
        name, array = next(changes)
        net.params = {**net.params, name: array}

    trained = net.params
    net.train(X, y, X, y, num_iters=4, on_step=change)
    for name in ("W1", "b1", "W2", "b2"):
        np.testing.assert_array_equal(trained[name], plain.params[name])
    plain.params["more"] = np.ones(1000)
    assert list(plain.loss(X, y)[1]) == ["W1", "b1", "W2", "b2"]


def test_the_callers_arrays_stay_theirs():
    """In Fortran order, or of another dtype, they are converted for the call alone."""
    net, X, y = make((6, 4, 5, 3))
    expected = net.loss(X, y)
    W1 = net.params["W1"] = np.asfortranarray(net.params["W1"])
    assert_same(net.loss(X, y), expected)
    assert net.params["W1"] is W1


@needs_jit
def test_several_threads_at_once():
    """FAULTS, row 16: one net, one objective."""
    from concurrent.futures import ThreadPoolExecutor

    from jitloss import Objective

    net, X, y = make((40, 9, 33, 3))
    objective, W = Objective(X, y, n_classes=3), net.params["W1"][:, :3].copy()
    expected, other = net.loss(X, y, 0.1), objective.value_and_grad(W)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: net.loss(X, y, 0.1), range(100)):
            assert_same(found, expected)
        for found in pool.map(lambda _: objective.batch(range(40)).value_and_grad(W), range(100)):
            assert found[0] == other[0]
            np.testing.assert_array_equal(found[1], other[1])


def test_pickles_without_scratch():
    """To other processes go the parameters alone."""
    import pickle

    net, X, y = make((200, 40, 30, 3))
    net.loss(X, y)
    data = pickle.dumps(net)
    assert len(data) < 3 * sum(array.nbytes for array in net.params.values())
    assert_same(pickle.loads(data).loss(X, y), net.loss(X, y))


def test_verbose_prints(capsys):
    net, X, y = make((50, 4, 5, 3))
    net.train(X, y, X, y, num_iters=101, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["iteration 0 / 101", "iteration 100 / 101"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_save_and_load(dtype, tmp_path):
    net, X, _ = make((6, 4, 5, 3), dtype)
    net.save(tmp_path / "net.npz")
    found = TwoLayerNet.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(found.loss(X), net.loss(X), strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
    np.savez(tmp_path / "other.npz", W1=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"other.npz lacks b1, W2, b2"):
        TwoLayerNet.load(tmp_path / "other.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"single.npy is a single array"):
        TwoLayerNet.load(tmp_path / "single.npy")
    np.savez(tmp_path / "pickled.npz", **(net.params | {"b1": np.array([object()])}))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        TwoLayerNet.load(tmp_path / "pickled.npz")


X2 = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: TwoLayerNet(0, 1, 1), ValueError, "input_size is 0: expected at least 1"),
        (lambda net: TwoLayerNet(1, 1.5, 1), TypeError, "hidden_size is 1.5: expected a whole number"),
        (lambda net: TwoLayerNet(1, 1, 1, dtype="float16"), TypeError, "dtype is 'float16'"),
        (lambda net: TwoLayerNet(1, 1, 1, std=-1), ValueError, "std is -1"),
        (lambda net: net.loss(np.zeros((2, 4))), ValueError, r"X has shape \(2, 4\): expected \(N, 3\)"),
        (lambda net: net.loss(X2, [0]), ValueError, "y of shape"),
        (lambda net: net.loss(X2, [0, 2]), ValueError, r"y\[1\] is 2"),
        (lambda net: net.loss(X2, [0.0, 1.0]), TypeError, "y has dtype float64"),
        (lambda net: net.loss(X2, [0, 1], -1), ValueError, "reg is -1"),
        (lambda net: net.loss(X2, n_threads=0), ValueError, "n_threads is 0"),
        (lambda net: net.loss(X2, implementation="jit"), ValueError, "implementation is 'jit'"),
        (lambda net: net.loss(X2, n_threads=1, implementation="numpy"), ValueError, "does not support n_threads"),
        (lambda net: net.params.update(b1=np.zeros(3)) or net.loss(X2), ValueError, r"params\['b1'\]"),
        (lambda net: net.train(np.empty((0, 3)), [], np.empty((0, 3)), []), ValueError, "nothing to train on"),
        (lambda net: net.train(X2, [0, 1], X2, [0]), ValueError, "y_val of shape"),
        (lambda net: net.train(X2, [0, 1], X2, [0, 2]), ValueError, r"y_val\[1\] is 2: .* the net has as many outputs"),
        (lambda net: net.train(X2[:, :2], [0, 1], X2, [0, 1]), ValueError, r"X has shape \(2, 2\): expected \(N, 3\)"),
        (lambda net: net.train(X2, [0, 1], X2[:, :2], [0, 1]), ValueError, r"X_val has shape \(2, 2\)"),
        (lambda net: net.train(X2, [0, 1], X2, [0, 1], batch_size=0), ValueError, "batch_size"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(TwoLayerNet(3, 4, 2))
