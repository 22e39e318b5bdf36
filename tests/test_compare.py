"""The comparison: figures that mean what they say, and a wrong result that is called wrong."""

import io
import json
import time

import numpy as np
import pytest

from problems import DTYPES, LOSSES, make, needs_jit

rich_console = pytest.importorskip("rich.console")
pytest.importorskip("threadpoolctl")

from jitloss import data, reference  # noqa: E402
from jitloss.compare import contenders, first_call, machine, measure, peers, results, run, table  # noqa: E402
from jitloss.compare.cases import Case  # noqa: E402
from jitloss.compare.cases import make as make_case  # noqa: E402
from jitloss.terminal import PLAIN_WIDTH  # noqa: E402

SMALL = measure.Effort(rounds=2, settle=0.001, turn=0.002, python_call=0.002)


@pytest.fixture(scope="module")
def report():
    """A whole comparison of a small problem, without first calls."""
    steps = []
    plan = run.Plan([data.of_shape("40x30x3"), data.of_shape("300x5x2")], n_threads=1, effort=SMALL, first_calls=0)
    found = run.compare(plan, steps.append)
    assert len(steps) == plan.steps
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_cases_have_scores_of_unit_variance(dtype):
    case = make_case(data.of_shape("500x30x4"), dtype)
    assert (case.X @ case.W).std() == pytest.approx(1, rel=0.01)
    assert (case.dtype, case.shape) == (dtype, (500, 30, 4))
    assert case.head(7).shape == (7, 30, 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", [who.name for who in contenders.own()])
def test_contenders_compute_the_same(name, loss, dtype):
    case = Case("", "", *make((20, 6, 4), dtype))
    assert results.judge(loss, case, contenders.by_name(name).prepare(loss, case, 1)()).right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", list(peers.PEERS))
def test_peers_compute_the_same(name, loss, dtype):
    """Where they are installed, and have that loss: an independent check of ours as well."""
    pytest.importorskip(name)
    who = peers.PEERS[name]
    if loss not in who.losses:
        pytest.skip("no such loss there")
    case = Case("", "", *make((20, 6, 4), dtype))
    assert results.judge(loss, case, who.prepare(loss, case, 1)()).right


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_wrong_answer_is_judged_wrong(loss, dtype):
    """A loss off by a thousandth, a gradient with one wrong entry, a NaN."""
    case = Case("", "", *make((50, 6, 4), dtype))
    value, dW = contenders.by_name("numpy").prepare(loss, case, 1)()
    assert results.judge(loss, case, (value, dW)).right
    spoilt = dW.copy()
    spoilt[2, 1] += 0.01 * np.abs(dW).max()
    for wrong in ((value * 1.001, dW), (value, spoilt), (float("nan"), dW), (value, dW * np.nan), (value, -dW)):
        assert not results.judge(loss, case, wrong).right


def test_many_margins_near_the_kink_excuse_no_wrong_factor():
    """5000 rows with hinges at random: a gradient off by a hundredth is wrong, whatever its dtype."""
    random = np.random.default_rng(0)
    X = random.standard_normal((5000, 40)).astype(np.float32)
    W = (random.standard_normal((40, 100)) / 40**0.5).astype(np.float32)
    case = Case("", "", W, X, random.integers(0, 100, 5000))
    value, dW = contenders.by_name("numpy").prepare("svm", case, 1)()
    assert results.judge("svm", case, (value, dW)).right
    assert not results.judge("svm", case, (value, dW * np.float32(1.01))).right


def test_a_margin_at_the_kink_excuses_one_sample_and_no_more():
    """s_j − s_y + 1 is 0 but for rounding: either side is right, two samples' worth is not."""
    W, X, y = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[-1.0, 3.0], [2.0, 1.0]]), np.array([1, 1])
    case = Case("", "", W, X, y)
    assert (X @ W)[0].tolist() == [-1.0, 0.0]  # its margin is exactly 0
    value, (dW,) = reference.linear_loss(reference.weston_watkins, W, X, y)
    other_side = dW + np.outer(X[0], [1, -1]) / 2
    assert results.judge("svm", case, (value, other_side)).right
    assert not results.judge("svm", case, (value, dW + 3 * np.outer(X[0], [1, -1]) / 2)).right


def row(seconds, name="jit", first=None, right=True, rows=100):
    verdict = results.Verdict(0.0, 0.0, right)
    return results.Row(
        "c", "says", (100, 10, 5), "svm", "float64", name, verdict, tuple(seconds), rows, 1_000_000, first
    )


def test_figures_of_a_row_by_hand():
    """Median 3, quartiles 2 and 4 of 1…5; 4·100·10·5 flops in 3 s; noisy beyond 30 %."""
    found = row([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (found.median, found.quartiles) == (3.0, (2.0, 4.0))
    assert found.gflops == 20_000 / 3 / 1e9
    assert found.noisy
    assert not row([1.0, 1.01, 1.02]).noisy
    assert row([1.0]).quartiles == (1.0, 1.0)
    assert row([1.0], rows=10).approximate
    assert not found.approximate


def test_calls_until_compiling_pays_off_by_hand():
    """2 s later at the start, 0.5 s faster a call: after 4 calls. Slower a call: never."""
    slow_start = row([0.5], first=first_call.FirstCall(3.0, 1.0))
    numpy = row([1.0], "numpy", first_call.FirstCall(1.0, None))
    assert slow_start.calls_to_pay_off(numpy) == 4
    assert numpy.calls_to_pay_off(slow_start) == float("inf")
    assert row([0.5]).calls_to_pay_off(numpy) is None


def test_sides_take_turns_and_the_first_calls_of_a_turn_are_not_counted():
    """Two rounds, the second in reverse; each turn begins with calls that only settle."""
    order = []
    calls = {name: lambda name=name: (order.append(name), time.sleep(0.001)) for name in ("a", "b")}
    turns = []
    seconds = measure.alternate(calls, measure.Effort(2, 0.005, 0.005, 0.0), turns.append)
    assert turns == ["a", "b", "b", "a"]
    assert len(order) > len(seconds["a"]) + len(seconds["b"])
    assert all(value >= 0.001 for values in seconds.values() for value in values)


def test_data_beyond_the_dtype_are_refused():
    """1e300 is infinity in float32; that is nobody's wrong result."""
    large = data.Data("large", "", np.full((4, 2), 1e300), np.zeros(4, int), 2)
    with pytest.raises(data.DataError, match="beyond float32"):
        make_case(large, "float32")


def test_affordable_rows():
    """1 ms a row and 20 ms to spend: about 20 rows, never more than there are, never none."""

    def prepare(n):
        return lambda: time.sleep(0.001 * n)

    assert 10 <= measure.affordable_rows(prepare, 1000, 0.02) <= 20
    assert measure.affordable_rows(prepare, 7, 1.0) == 7
    assert measure.affordable_rows(prepare, 1000, 0.0) == 4


def test_extra_memory_by_hand():
    """A call that holds 8 MB beside the gradient it returns."""

    def call():
        scratch = np.zeros(1_000_000)
        return float(scratch[0]), np.ones(1000)

    assert measure.extra_memory(call) == pytest.approx(8_000_000, rel=0.01)


def test_blas_threads_are_set_and_verified(monkeypatch):
    with machine.blas_threads(1):
        assert {pool["num_threads"] for pool in machine._blas()} <= {1}
    pool = {"internal_api": "someblas", "num_threads": 3, "user_api": "blas"}
    monkeypatch.setattr(machine, "threadpool_info", lambda: [pool])  # one that does not listen
    with pytest.raises(RuntimeError, match="someblas runs on 3 threads, not on 2"), machine.blas_threads(2):
        pass


def test_first_calls_are_fresh_processes():
    """What is not kept on disk has no cached figure; a process that fails is an error, not a figure."""
    found = first_call.first_call("numpy", "svm", "float64", (50, 20, 3), 1, 0)
    assert found.cold > 0
    assert found.cached is None
    with pytest.raises(RuntimeError, match="a fresh process failed"):
        first_call.first_call("no such contender", "svm", "float64", (50, 20, 3), 1, 0)


@needs_jit
def test_first_calls_that_compile_have_a_cached_figure():
    """The cold process has an empty folder, the others its leavings."""
    found = first_call.first_call("jit", "svm", "float64", (50, 20, 3), 1, 1)
    assert found.cold > 0
    assert found.cached is not None


def test_import_cost_is_positive():
    assert first_call.import_cost(1) > 0


def test_a_report_is_complete(report):
    """Two cases, two losses, two dtypes, every contender, all right."""
    assert report.right
    assert len(report.rows) == 2 * 2 * 2 * len(contenders.own())
    assert len(list(report.tables())) == 4
    assert all(row.seconds and row.median > 0 for row in report.rows)
    json.dumps(report.as_dict())


def printed(report, width):
    console = rich_console.Console(width=width, record=True, file=io.StringIO())
    table.show(report, console)
    return console.export_text()


@pytest.mark.parametrize("width", [PLAIN_WIDTH, 80])
def test_the_table_shows_every_row_and_column(report, width):
    """In one table where there is room, in two where there is not."""
    text = printed(report, width)
    for heading, _ in table.SPEED + table.COSTS:
        assert heading in text
    for who in contenders.own():
        lines = [line for line in text.splitlines() if line.split()[:1] == [who.name]]
        assert len(lines) == (8 if width >= table.WIDE else 16)
    assert "…" not in text
    assert "FAILED" not in text


def test_a_wrong_result_is_printed_as_failed(report):
    """In place of its speed, and by name below."""
    machine_part = dict(report.machine)
    wrong = run.Report(machine_part, None, [row([1.0], "numpy"), row([2.0], right=False)])
    text = printed(wrong, PLAIN_WIDTH)
    assert not wrong.right
    line = next(line for line in text.splitlines() if line.split()[:1] == ["jit"])
    assert line.split()[1] == "FAILED"
    assert "2e+03" not in line
    assert "FAILED: jit (svm, c, float64)" in text


def test_marks_of_approximate_and_noisy_figures():
    text = printed(run.Report(machine.describe(1), 0.001, [row([1.0], "numpy"), row([1.0, 2.0, 3.0], rows=10)]), 150)
    assert "≈2,000~" in text
    assert "noisy, run again" in text
    assert "import jitloss takes 1.0 ms more" in text


def test_the_roofline_is_drawn(report, tmp_path):
    """The roof of each dtype, a mark for every contender, and in words what was measured."""
    pytest.importorskip("matplotlib")
    from jitloss.compare import roof, roofline

    path = tmp_path / "roofline.svg"
    roofline.draw(report, roof.Roof(34e9, {"float64": 1e11, "float32": 2e11}), path)
    text = path.read_text()
    for word in ("product, float64", "product, float32", "34.0 GB/s", *(who.name for who in contenders.own())):
        assert f"<!-- {word}" in text or word in text, word


def test_the_roof_is_measured():
    """And where a figure stands under it, by hand: 4·5 flops for each float64 of 8 bytes."""
    from jitloss.compare import roof

    found = roof.measure(1, ("float32",))
    assert found.bandwidth > 1e8
    assert set(found.product) == {"float32"}
    assert found.product["float32"] > 1e8
    assert roof.intensity(row([1.0])) == 2.5


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_drawn(report, tmp_path, suffix):
    """A picture of 1280 pixels with something on it."""
    pytest.importorskip("matplotlib")
    from jitloss.compare.plot import draw

    path = tmp_path / f"plot.{suffix}"
    draw(report, path)
    if suffix == "png":
        from matplotlib.image import imread

        picture = imread(path)
        assert picture.shape[1] == 1280
        assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 10
    else:
        text = path.read_text()
        assert "float32" in text
