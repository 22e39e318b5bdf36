"""``jitloss train``: what is learned, kept, drawn, and kept after an interrupt."""

import numpy as np
import pytest

pytest.importorskip("rich")

from jitloss import cli, data
from jitloss.train import command, fit
from problems import JIT_DISABLED, needs_jit

STEPS = "60" if JIT_DISABLED else "2000"


MODELS = [m for m in fit.MODELS if m != "two-layer" or not JIT_DISABLED]  # minutes of pure Python


@pytest.mark.parametrize("model", MODELS)
def test_the_digits(model, capsys, tmp_path):
    """At least 95 % of what was held out, a file without pickles from which it can be predicted, a picture."""
    output, picture = tmp_path / "m.npz", tmp_path / "m.png"
    arguments = ["train", "--model", model, "--output", str(output), "--plot", str(picture), "--steps", STEPS]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in (f"{model} on digits", "359 held out", f"{STEPS} steps in", f"written: {output}"):
        assert text in out
    assert picture.stat().st_size > 20_000
    assert {path.name for path in tmp_path.iterdir()} == {"m.npz", "m.png"}
    with np.load(output, allow_pickle=False) as found:
        arrays = dict(found)
    held_out = arrays["val_acc_history"][-1]
    assert held_out >= (0.8 if JIT_DISABLED else 0.95)
    assert len(arrays["loss_history"]) == int(STEPS)
    digits = data.digits()
    X = (digits.X - arrays["mean"]) / arrays["scale"]
    if model == "two-layer":
        scores = np.maximum(X @ arrays["W1"] + arrays["b1"], 0) @ arrays["W2"] + arrays["b2"]
    else:
        scores = X @ arrays["W"] + arrays["b"]
    right = scores.argmax(axis=1) == digits.y
    assert right[np.random.default_rng(0).permutation(len(right))[:359]].mean() == pytest.approx(held_out, abs=1e-12)


def test_the_same_seed_gives_the_same_model():
    settings = fit.Settings(steps=20, hidden=5)
    for model in MODELS:
        one, two = (fit.fit(data.digits(), fit.Settings(model, 5, 20)) for _ in range(2))
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, two.arrays()[name], err_msg=name)
    other = fit.fit(data.digits(), fit.Settings(settings.model, 5, 20, seed=1))
    assert (one.mean != other.mean).any()


def test_an_interrupt_between_two_accuracies(monkeypatch):
    """Histories stay of one length."""
    calls = []

    def accuracy(found, y):
        calls.append(len(y))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 0.5

    monkeypatch.setattr(fit, "accuracy", accuracy)
    trained = fit.fit(data.digits(), fit.Settings(steps=50))
    assert trained.interrupted
    assert len(trained.epochs) == len(trained.training) == len(trained.validation) == 1


@needs_jit
def test_small_batches_learn_too():
    """The learning rate falls step by step, however many steps an epoch has."""
    trained = fit.fit(data.digits(), fit.Settings(steps=1000, batch_size=1))
    assert trained.validation[-1] > 0.85


@pytest.mark.parametrize("model", MODELS)
def test_an_interrupt_keeps_what_was_learned(model, capsys, tmp_path, monkeypatch):
    """FAULTS, row 30: status 130, a whole file, a picture."""
    from contextlib import contextmanager

    @contextmanager
    def bar(steps):
        told = []

        def show(says):
            told.append(says)
            if len(told) == 7:
                raise KeyboardInterrupt

        yield show

    monkeypatch.setattr(command, "progress_bar", bar)
    output, picture = tmp_path / "m.npz", tmp_path / "m.png"
    assert cli.main(["train", "--model", model, "--output", str(output), "--plot", str(picture)]) == 130
    assert "interrupted after 7 steps" in capsys.readouterr().out
    with np.load(output, allow_pickle=False) as found:
        assert len(found["loss_history"]) == 7
        assert found["W1" if model == "two-layer" else "W"].any()
    assert picture.exists()


def test_own_data(tmp_path, capsys):
    """An .npz of coloured pictures in float32, and of plain features: with weights drawn and without."""
    random = np.random.default_rng(0)
    y = np.arange(300) % 3
    pictures = random.random((300, 3, 4, 5), np.float32)
    pictures[np.arange(300), y] += 1
    np.savez(tmp_path / "pictures.npz", X=pictures, y=y)
    np.savez(tmp_path / "plain.npz", X=pictures.reshape(300, -1), y=y)
    assert data.read_npz(tmp_path / "pictures.npz").picture == (4, 5, 3)
    assert data.read_npz(tmp_path / "plain.npz").picture is None
    np.savez(tmp_path / "big.npz", X=pictures.astype(">f4"), y=y.astype(">i8"))
    assert data.read_npz(tmp_path / "big.npz").X.dtype == np.float32
    assert data.read_npz(tmp_path / "big.npz").X.dtype.isnative
    for name in ("pictures", "plain"):
        arguments = [
            "train",
            "--data",
            str(tmp_path / f"{name}.npz"),
            "--output",
            str(tmp_path / "m"),
            f"--steps={STEPS}",
        ]
        assert cli.main([*arguments, "--plot", str(tmp_path / f"{name}.png")]) == 0
        assert (tmp_path / f"{name}.png").exists()
        with np.load(tmp_path / "m", allow_pickle=False) as found:
            assert found["W"].dtype == np.float32
            assert found["val_acc_history"][-1] > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps 0: expected a number from 1"),
        (["--held-out", "1.5"], "--held-out 1.5: expected a number from 0 to 1"),
        (["--held-out", "0"], "digits has 1797 samples: too few to hold out 0 of them"),
        (["--reg", "nan"], "--reg nan"),
        (["--learning-rate", "0"], "--learning-rate 0.0"),
        (["--output", "nowhere/m.npz"], "there is no folder"),
        (["--data", "a.npz", "b.npz"], "expected one source"),
        (["--data", "cifar10"], "expected the folder"),
        (["--data", "missing.npz"], "missing.npz"),
    ],
)
def test_requests_that_cannot_be_carried_out(arguments, message, capsys, tmp_path, monkeypatch):
    """Status 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_steepness_is_the_largest_eigenvalue():
    X = np.random.default_rng(0).standard_normal((500, 6)) @ np.diag([5, 1, 1, 1, 1, 1])
    expected = np.linalg.eigvalsh(X.T @ X / 500).max()
    assert fit.steepness(X, np.random.default_rng(1)) == pytest.approx(expected, rel=1e-6)
    assert fit.steepness(np.zeros((5, 2)), np.random.default_rng(1)) == 1.0
