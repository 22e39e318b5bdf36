"""The command, as a user types it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rich")

from jitloss import __version__, cli, data, implementations, terminal
from jitloss.compare import measure, run


@pytest.fixture
def brief(monkeypatch):
    """A comparison that takes a moment."""
    effort = measure.Effort(rounds=1, settle=0.0, turn=0.001, python_call=0.002)
    monkeypatch.setattr(measure, "QUICK", effort)
    monkeypatch.setattr(run, "first_call", lambda *args: run.FirstCall(2.0, 0.5 if args[5] else None))


def test_compare_on_a_shape(brief, capsys, tmp_path):
    """Tables for both losses, a JSON file with every figure, a picture."""
    figures, picture = tmp_path / "f.json", tmp_path / "p.png"
    arguments = ["compare", "--quick", "--shape", "60x20x3", "--json", str(figures), "--plot", str(picture)]
    assert cli.main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in (
        "svm · 60×20×3 · generated, seed 0 · jit runs one lane",
        "softmax · 60×20×3",
        "× NumPy",
        "2.00 s",
        "0.50 s",
        "calls",
    ):
        assert text in out
    assert not any(line != line.rstrip() for line in out.splitlines())
    found = json.loads(figures.read_text())
    assert {row["contender"] for row in found["rows"]} == {"loop", "naive", "numpy", "tuned", "jit", "fused"}
    assert all(row["right"] for row in found["rows"])
    assert picture.stat().st_size > 10_000
    assert {path.name for path in tmp_path.iterdir()} == {"f.json", "p.png"}


def test_compare_draws_the_roofline(brief, capsys, tmp_path):
    """And its figures go into the JSON file."""
    figures, picture = tmp_path / "f.json", tmp_path / "r.png"
    arguments = ["compare", "--quick", "--shape", "60x20x3", "--json", str(figures), "--roofline", str(picture)]
    assert cli.main(arguments) == 0
    roof = json.loads(figures.read_text())["roof"]
    assert roof["bandwidth"] > 0
    assert set(roof["product"]) == {"float64", "float32"}
    assert picture.stat().st_size > 10_000


def test_compare_on_files(brief, capsys, tmp_path):
    path = tmp_path / "mine.npz"
    random = np.random.default_rng(0)
    np.savez(path, X=random.standard_normal((50, 4)), y=random.integers(0, 3, 50))
    assert cli.main(["compare", "--quick", "--data", str(path), "--loss", "svm", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "svm · mine.npz 50×4×3" in out
    assert "softmax" not in out
    assert "float64" not in out.replace("float64 reference", "")


def test_the_default_is_the_digits_and_cifars_shape():
    options = cli._parser().parse_args(["compare"])
    assert [(found.name, found.X.shape) for found in cli._data(options)] == [
        ("digits", (1797, 64)),
        ("dev", (500, 3073)),
    ]


def test_a_wrong_result_ends_with_status_1(brief, capsys, monkeypatch):
    def wrong(loss, problem):
        value, gradients = implementations.run_jit(loss, problem)
        return value * 1.01, gradients

    spoilt = implementations.IMPLEMENTATIONS["jit"]._replace(run=wrong)
    monkeypatch.setitem(implementations.IMPLEMENTATIONS, "jit", spoilt)
    assert cli.main(["compare", "--quick", "--shape", "60x20x3", "--loss", "svm"]) == 1
    out = capsys.readouterr().out
    assert "FAILED: jit (svm, 60x20x3, float64), jit (svm, 60x20x3, float32)" in out
    assert cli.main(["check"]) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "60x20"], "expected NxDxC"),
        (["--data", "none.npz"], "No such file"),
        (["--data", "cifar10"], "expected the folder"),
        (["--data", "cifar10", "nowhere"], "data_batch_1.bin: No such file"),
        (["--against", "tensorflow"], "expected names out of sklearn, torch, jax"),
        (["--threads", "4096"], "numba's pool has"),
        (["--shape", "1000000000x1000000000x2"], "not enough memory"),
        (["--json", "no/such/folder/f.json"], "there is no folder"),
    ],
)
def test_requests_that_cannot_be_carried_out(arguments, message, capsys):
    """Exit status 2, a message, and nothing on standard output."""
    assert cli.main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jitloss: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["--no-such"], ["compare", "--threads", "0"], ["compare", "--threads", "x"], ["check", "--seed", "-1"]],
)
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: jitloss" in capsys.readouterr().err


def test_a_plot_of_an_unknown_kind_is_refused_whole(brief, capsys, tmp_path):
    assert cli.main(["compare", "--quick", "--shape", "60x20x3", "--plot", str(tmp_path / "p.xyz")]) == 2
    assert "could not be written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_package_names_the_extra(monkeypatch, capsys):
    monkeypatch.setattr(terminal, "find_spec", lambda name: None)
    assert cli.main(["compare"]) == 2
    assert "this needs rich: pip install 'jitloss[cli]'" in capsys.readouterr().err


def test_a_missing_peer_says_what_to_install(monkeypatch, capsys):
    from jitloss.compare import peers

    monkeypatch.setattr(peers, "installed", lambda name: False)
    assert cli.main(["compare", "--against", "sklearn"]) == 2
    assert "pip install scikit-learn" in capsys.readouterr().err


def test_jax_takes_every_core(monkeypatch, capsys):
    """Fewer threads on our side would not be equal threads."""
    from jitloss.compare import machine, peers

    monkeypatch.setattr(peers, "installed", lambda name: True)
    monkeypatch.setattr(machine, "available_cores", lambda: 64)
    assert cli.main(["compare", "--against", "jax", "--threads", "1"]) == 2
    assert "--threads 64" in capsys.readouterr().err


def test_output_that_has_no_such_letters():
    """A stream in another encoding gets a question mark for ×, and keeps its figures."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "jitloss", "check"], env=environment, capture_output=True, check=True)
    assert b"N?D?C" in done.stdout


def test_interruption(monkeypatch, capsys):
    monkeypatch.setattr(cli, "run_info", lambda options: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(["info"]) == 130
    assert capsys.readouterr().err == "jitloss: interrupted\n"


def test_check_info_warmup_and_version(capsys):
    assert cli.main(["check", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    n_checks = 2 * 4 * 2 * len(implementations.IMPLEMENTATIONS)
    assert f"{n_checks} of {n_checks} checks passed" in out
    assert cli.main(["info"]) == 0
    assert f"jitloss {__version__}" in capsys.readouterr().out
    assert cli.main(["warmup"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"jitloss {__version__}\n"


def test_as_a_module_and_as_a_script_into_a_closed_pipe():
    """`python -m jitloss`; and `jitloss info | true` ends without a traceback."""
    done = subprocess.run([sys.executable, "-m", "jitloss", "info"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("threads")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "jitloss", "info"], stdout=closed, stderr=subprocess.PIPE, text=True
        )
    assert "Traceback" not in done.stderr


def test_digits_come_with_the_package():
    assert data.digits().X.shape == (1797, 64)
