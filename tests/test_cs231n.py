"""The course's assignments, worked through with jitloss.cs231n in the place of cs231n."""

import numpy as np
import pytest

from jitloss import cifar10
from jitloss.cs231n import classifiers, data_utils, gradient_check, layers, vis_utils
from jitloss.cs231n.classifiers import LinearSVM, Softmax, fc_net, linear_svm, neural_net, softmax
from jitloss.cs231n.classifiers.linear_classifier import LinearClassifier
from problems import make, needs_jit

FUNCTIONS = {
    "svm": [getattr(linear_svm, f"svm_loss_{way}") for way in ("naive", "vectorized", "jit", "fused")],
    "softmax": [getattr(softmax, f"softmax_loss_{way}") for way in ("naive", "vectorized", "jit", "fused")],
}


@pytest.fixture
def global_seed():
    np.random.seed(231)  # noqa: NPY002  (what the notebooks do)
    return np.random


@pytest.mark.parametrize("loss", FUNCTIONS)
def test_the_four_ways_to_write_a_loss_agree(loss, global_seed):
    """With the regulariser of the handouts since 2018, and with the older one."""
    W, X, y = make((40, 20, 10), seed=1)
    for options, scale in (({}, 1.0), ({"reg_scale": 0.5}, 0.5)):
        (value, dW), *others = (function(W, X, y, 0.5, **options) for function in FUNCTIONS[loss])
        plain = FUNCTIONS[loss][0](W, X, y, 0.0)
        assert value == pytest.approx(plain[0] + scale * 0.5 * (W * W).sum(), rel=1e-12)
        for other_value, other_dW in others:
            assert other_value == pytest.approx(value, rel=1e-12)
            np.testing.assert_allclose(other_dW, dW, rtol=1e-10, atol=1e-14)


def test_a_random_softmax_costs_the_logarithm_of_ten(global_seed):
    """The first sanity check of the notebook: small random weights, ten classes."""
    X, y = global_seed.randn(500, 3073), global_seed.randint(10, size=500)
    loss, _ = softmax.softmax_loss_naive(global_seed.randn(3073, 10) * 0.0001, X, y, 0.0)
    assert loss == pytest.approx(-np.log(0.1), abs=1e-3)


@pytest.mark.parametrize("way", range(4))
@pytest.mark.parametrize("loss", FUNCTIONS)
def test_gradient_check_of_the_losses(loss, way, global_seed, capsys):
    """The cells of svm.ipynb and softmax.ipynb; relative errors below 1e-5 are printed."""
    W, X, y = make((20, 12, 5), seed=4)
    _, grad = FUNCTIONS[loss][way](W, X, y, 5e1)
    gradient_check.grad_check_sparse(lambda w: FUNCTIONS[loss][way](w, X, y, 5e1)[0], W, grad)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    for line in lines:
        assert line.startswith("numerical: ")
        assert float(line.rsplit(" ", 1)[1]) < 1e-5


@pytest.mark.parametrize("classifier", [LinearSVM, Softmax])
def test_training_a_linear_classifier(classifier, global_seed, capsys):
    """The loss falls, the printed lines are the course's, what comes back is a list of losses."""
    X, y = global_seed.randn(300, 21), np.arange(300) % 3
    X[np.arange(300), y] += 3
    model = classifier()
    history = model.train(X, y, learning_rate=1e-1, reg=1e-3, num_iters=301, batch_size=50, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"iteration {n} / 301" for n in (0, 100, 200, 300)]
    assert len(history) == 301
    assert history[-1] < history[0] / 3
    assert model.W.shape == (21, 3)
    assert (model.predict(X) == y).mean() > 0.9
    expected = FUNCTIONS["svm" if classifier is LinearSVM else "softmax"][0](model.W, X[:10], y[:10], 0.1)
    np.testing.assert_allclose(model.loss(X[:10], y[:10], 0.1)[1], expected[1])


def test_training_follows_the_course_step_by_step():
    """The same draws from the global random state, the same steps, by NumPy alone."""
    X, y = np.random.default_rng(0).standard_normal((100, 7)), np.arange(100) % 4
    np.random.seed(3)  # noqa: NPY002
    model = Softmax()
    history = model.train(X, y, learning_rate=0.3, reg=0.01, num_iters=20, batch_size=30)
    np.random.seed(3)  # noqa: NPY002
    W = 0.001 * np.random.randn(7, 4)  # noqa: NPY002
    for loss in history:
        batch = np.random.choice(100, 30, replace=True)  # noqa: NPY002
        expected, dW = softmax.softmax_loss_naive(W, X[batch], y[batch], 0.01)
        assert loss == pytest.approx(expected, rel=1e-10)
        W -= 0.3 * dW
    np.testing.assert_allclose(model.W, W, rtol=1e-9, atol=1e-12)


def test_a_students_own_classifier_is_trained_on_its_own_loss():
    """A subclass of LinearClassifier, and one of LinearSVM that changes the loss."""

    class Own(LinearClassifier):
        def loss(self, X_batch, y_batch, reg):
            return 1.0, np.ones_like(self.W)

    class Changed(LinearSVM):
        def loss(self, X_batch, y_batch, reg):
            return 2.0, np.zeros_like(self.W)

    X, y = np.ones((10, 3)), np.arange(10) % 2
    own = Own()
    own.W = np.zeros((3, 2))
    assert own.train(X, y, learning_rate=0.5, num_iters=4) == [1.0] * 4
    assert (own.W == -2).all()
    assert Changed().train(X, y, num_iters=2) == [2.0, 2.0]
    with pytest.raises(NotImplementedError, match="subclass"):
        LinearClassifier().loss(X, y, 0.0)
    with pytest.raises(ValueError, match="train the classifier first"):
        LinearSVM().predict(X)


def toy():
    """The toy net and data of two_layer_net.ipynb."""
    np.random.seed(0)  # noqa: NPY002
    net = neural_net.TwoLayerNet(4, 10, 3, std=1e-1)
    np.random.seed(1)  # noqa: NPY002
    X = 10 * np.random.randn(5, 4)  # noqa: NPY002
    return net, X, np.array([0, 1, 2, 2, 1])


def test_the_toy_nets_published_numbers():
    """Scores, loss and gradients as printed in the notebook."""
    net, X, y = toy()
    published = np.array([
        [-0.81233741, -1.27654624, -0.70335995], [-0.17129677, -1.18803311, -0.47310444],
        [-0.51590475, -1.01354314, -0.8504215], [-0.15419291, -0.48629638, -0.52901952],
        [-0.00618733, -0.12435261, -0.15226949],
    ])  # fmt: skip
    assert np.abs(net.loss(X) - published).sum() < 1e-7
    assert net.loss(X, y, reg=0.05)[0] == pytest.approx(1.30378789133, abs=1e-11)
    net._reg_scale = 0.5  # the handouts of 2015 and 2016, where reg was 0.1
    assert net.loss(X, y, reg=0.1)[0] == pytest.approx(1.30378789133, abs=1e-11)


def test_the_toy_nets_gradient_check():
    net, X, y = toy()
    _, grads = net.loss(X, y, reg=0.05)
    for name, grad in grads.items():
        numeric = gradient_check.eval_numerical_gradient(
            lambda W: net.loss(X, y, reg=0.05)[0], net.params[name], verbose=False
        )
        error = np.abs(numeric - grad) / np.maximum(1e-8, np.abs(numeric) + np.abs(grad))
        assert error.max() < 1e-8, name


def test_training_the_toy_net():
    """The notebook ends at a loss of about 0.017."""
    _, X, y = toy()
    np.random.seed(0)  # noqa: NPY002
    net = neural_net.TwoLayerNet(4, 10, 3, std=1e-1)
    stats = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100, verbose=False)
    assert set(stats) == {"loss_history", "train_acc_history", "val_acc_history"}
    assert stats["loss_history"][-1] == pytest.approx(0.0171496, abs=1e-6)
    assert (net.predict(X) == y).all()


def test_a_loaded_net_is_the_courses(tmp_path):
    """Its regulariser too."""
    net, X, y = toy()
    net.save(tmp_path / "net.npz")
    found = neural_net.TwoLayerNet.load(tmp_path / "net.npz")
    assert type(found) is neural_net.TwoLayerNet
    assert found.loss(X, y, 0.5)[0] == net.loss(X, y, 0.5)[0]


def test_no_samples():
    """Everywhere the loss of no data is 0."""
    W, X, y = np.ones((3, 2)), np.empty((0, 3)), np.empty(0, int)
    for functions in FUNCTIONS.values():
        for function in functions:
            assert function(W, X, y, 0.5)[0] == 3.0
    assert fc_net.TwoLayerNet(12, 4, 2).loss(np.empty((0, 3, 2, 2))).shape == (0, 2)
    assert layers.softmax_loss(np.empty((0, 3)), [])[0] == 0


@pytest.mark.parametrize(
    ("y", "error"),
    [([0, 3], ValueError), ([-1, 0], ValueError), ([0], ValueError), ([[0], [1]], ValueError), ([0.0, 1], TypeError)],
)
def test_labels_of_scores_are_checked(y, error):
    for function in (layers.svm_loss, layers.softmax_loss):
        with pytest.raises(error, match=r"^y"):
            function(np.zeros((2, 3)), np.array(y))


def test_images_as_they_come():
    """uint8 pixels with float32 weights set by hand; integers as scores."""
    X, y = np.random.default_rng(0).integers(0, 255, (30, 6), np.uint8), np.arange(30) % 3
    model = Softmax()
    model.W = np.zeros((6, 3), np.float32)
    history = model.train(X, y, learning_rate=1e-5, num_iters=20)
    assert model.W.dtype == np.float32
    assert history[-1] < history[0]
    assert layers.svm_loss(np.array([[0, 2]]), [0])[0] == 3


def test_the_published_numbers_of_fc_net():
    """FullyConnectedNets.ipynb: scores, and the loss without and with (half) regularisation."""
    N, D, H, C = 3, 5, 50, 7
    model = fc_net.TwoLayerNet(input_dim=D, hidden_dim=H, num_classes=C, weight_scale=1e-3)
    assert abs(model.params["W1"].std() - 1e-3) < 1e-4
    model.params["W1"] = np.linspace(-0.7, 0.3, num=D * H).reshape(D, H)
    model.params["b1"] = np.linspace(-0.1, 0.9, num=H)
    model.params["W2"] = np.linspace(-0.3, 0.4, num=H * C).reshape(H, C)
    model.params["b2"] = np.linspace(-0.9, 0.1, num=C)
    X, y = np.linspace(-5.5, 4.5, num=N * D).reshape(D, N).T, np.asarray([0, 5, 1])
    published = np.array([
        [11.53165108, 12.2917344, 13.05181771, 13.81190102, 14.57198434, 15.33206765, 16.09215096],
        [12.05769098, 12.74614105, 13.43459113, 14.1230412, 14.81149128, 15.49994135, 16.18839143],
        [12.58373087, 13.20054771, 13.81736455, 14.43418138, 15.05099822, 15.66781506, 16.2846319],
    ])  # fmt: skip
    assert np.abs(model.loss(X) - published).sum() < 1e-6
    assert model.loss(X, y)[0] == pytest.approx(3.4702243556, abs=1e-10)
    model.reg = 1.0
    assert model.loss(X, y)[0] == pytest.approx(26.5948426952, abs=1e-10)
    assert np.abs(model.loss(X.reshape(3, 5, 1, 1)) - published).sum() < 1e-6


def test_losses_of_scores(global_seed):
    """The cells of FullyConnectedNets.ipynb: about 9 and 2.3, gradients right to 1e-8."""
    x, y = 0.001 * global_seed.randn(50, 10), global_seed.randint(10, size=50)
    before = x.copy()
    for function, about in ((layers.svm_loss, 9.0), (layers.softmax_loss, 2.3)):
        loss, dx = function(x, y)
        assert loss == pytest.approx(about, abs=0.01)
        numeric = gradient_check.eval_numerical_gradient(lambda x, f=function: f(x, y)[0], x, False)
        np.testing.assert_allclose(dx, numeric, atol=1e-8)
        np.testing.assert_array_equal(x, before)


def test_numerical_gradients(capsys):
    """Printed when verbose, restored when f fails, and through functions of arrays."""
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    np.testing.assert_allclose(
        gradient_check.eval_numerical_gradient(lambda x: float((x**2).sum()), x), 2 * x, rtol=1e-8
    )
    assert capsys.readouterr().out.splitlines()[0].startswith("(0, 0) ")
    df = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = gradient_check.eval_numerical_gradient_array(lambda x: x**3, x, df)
    np.testing.assert_allclose(found, 3 * x**2 * df, rtol=1e-8)
    with pytest.raises(ZeroDivisionError):
        gradient_check.eval_numerical_gradient(lambda x: 1 / 0, x)
    assert x.tolist() == [[1.0, -2.0], [0.5, 3.0]]


def test_zero_against_zero_is_no_error(capsys):
    """0 / 0 is not NaN."""
    gradient_check.grad_check_sparse(lambda x: 1.0, np.zeros((2, 2)), np.zeros((2, 2)), num_checks=3)
    assert (
        capsys.readouterr().out.splitlines()
        == ["numerical: 0.000000 analytic: 0.000000, relative error: 0.000000e+00"] * 3
    )


def test_a_grid_of_pictures():
    """Each is stretched to 0 … 255; one of a single value does not divide by zero; the rest is black."""
    pictures = np.arange(5 * 2 * 3 * 3, dtype=float).reshape(5, 2, 3, 3)
    pictures[3] = 7
    grid = vis_utils.visualize_grid(pictures)
    assert grid.shape == (3 * 3 - 1, 3 * 4 - 1, 3)
    assert (grid[:2, :3].min(), grid[:2, :3].max()) == (0, 255)
    np.testing.assert_allclose(grid[:2, 4:7], grid[:2, :3])
    assert not grid[2].any()
    assert not grid[3:5, :3].any()
    assert not grid[6:].any()


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10's folders, a hundredth of it."""
    monkeypatch.setattr(cifar10, "BATCH", 100)
    folder, random = tmp_path / "datasets" / "cifar-10-batches-bin", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in (*cifar10.TRAINING_FILES, *cifar10.TEST_FILES):
        records = random.integers(0, 256, (100, 3073), np.uint8)
        records[:, 0] %= 10
        records.tofile(folder / name)
    return folder


def test_cifar10(cifar):
    """Shapes, pixels, split and mean; the folder of the pickled version stands for the binary one beside it."""
    raw = np.fromfile(cifar / "data_batch_1.bin", np.uint8).reshape(100, 3073)
    for folder in (cifar, str(cifar.parent / "cifar-10-batches-py")):
        Xtr, Ytr, Xte, Yte = data_utils.load_CIFAR10(folder)
        assert (Xtr.shape, Ytr.shape, Xte.shape, Yte.shape) == ((500, 32, 32, 3), (500,), (100, 32, 32, 3), (100,))
        assert Xtr.dtype == np.float64
        assert Xtr[3, 2, 5].tolist() == raw[3, [1 + 2 * 32 + 5, 1 + 1024 + 2 * 32 + 5, 1 + 2048 + 2 * 32 + 5]].tolist()
        np.testing.assert_array_equal(Ytr[:100], raw[:, 0])
    data = data_utils.get_CIFAR10_data(400, 100, 50, cifar10_dir=cifar)
    assert {name: array.shape[0] for name, array in data.items()} == {
        "X_train": 400, "y_train": 400, "X_val": 100, "y_val": 100, "X_test": 50, "y_test": 50,
    }  # fmt: skip
    assert data["X_val"].shape == (100, 3, 32, 32)
    assert np.abs(data["X_train"].mean(axis=0)).max() < 1e-10
    raw_data = data_utils.get_CIFAR10_data(400, 100, 50, subtract_mean=False, cifar10_dir=cifar)
    np.testing.assert_array_equal(raw_data["X_train"][3, :, 2, 5], Xtr[3, 2, 5])
    with pytest.raises(ValueError, match="num_test is 101: expected at most the 100"):
        data_utils.get_CIFAR10_data(10, 10, 101, cifar10_dir=cifar)
    with pytest.raises(cifar10.DataError, match="expected a batch of CIFAR-10's binary version"):
        data_utils.load_CIFAR10(cifar / "nowhere" / "deeper")


@needs_jit
def test_the_notebook_on_data_of_cifars_shape(cifar, global_seed):
    """svm.ipynb from loading to prediction: bias trick, training, a search over two learning rates."""
    X_train, y_train, X_test, _ = data_utils.load_CIFAR10(cifar)
    X_train, X_test = (X.reshape(len(X), -1) for X in (X_train, X_test))
    mean = X_train.mean(axis=0)
    X_train, X_test = (np.hstack([X - mean, np.ones((len(X), 1))]) for X in (X_train, X_test))
    for learning_rate in (1e-7, 1e-6):
        for model, reg in ((classifiers.LinearSVM(), 2.5e4), (classifiers.Softmax(), 1e3)):
            history = model.train(X_train, y_train, learning_rate, reg, num_iters=150, batch_size=40)
            assert np.isfinite(history).all()
            assert model.predict(X_test).shape == (100,)
            assert model.W.shape == (3073, 10)
