"""Programs that we run inside of: pools of processes and threads, other libraries, servers that run for weeks."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jitloss
from jitloss_kernels import threads
from problems import check_in_fresh_process, needs_jit

LAYERS = ["tbb", "omp", "workqueue", "none"]
SETUP = """
    import multiprocessing, os, sys, threading
    import numpy as np
    import jitloss
    from problems import make, assert_same_bits
    W, X, y = make((2000, 200, 10))
    def both(_=None):
        return sum((jitloss.softmax_loss(W, X, y, 0.1, implementation=name) for name in ("jit", "fused")), ())
"""


def on_layer(layer: str, code: str, **settings: str) -> str:
    """Run `code` with a pool of 4; "none": a layer that is named and not to be had."""
    if layer == "tbb" and not threads.load_tbb():
        pytest.skip("tbb is not installed")
    named = {"tbb": {}, "none": {"NUMBA_THREADING_LAYER": "tbb"}}.get(layer, {"NUMBA_THREADING_LAYER": layer})
    without = """
    import warnings
    warnings.simplefilter("ignore")
    from numba.np.ufunc import parallel
    from jitloss_kernels import threads
    threads.load_tbb = lambda: False
    """
    return check_in_fresh_process(
        (without if layer == "none" else "") + SETUP + code, NUMBA_NUM_THREADS="4", **named, **settings
    )


@needs_jit
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("layer", LAYERS)
def test_pools_of_processes(layer, method, tmp_path):
    """FAULTS, row 18: children that start from nothing give the parent's bits."""
    (tmp_path / "child.py").write_text(
        "import numpy as np\nimport jitloss\nfrom problems import make\n"
        "def loss(implementation):\n"
        "    W, X, y = make((2000, 200, 10))\n"
        "    return jitloss.softmax_loss(W, X, y, 0.1, implementation=implementation)\n"
    )
    on_layer(
        layer,
        f"""
    sys.path.insert(0, {str(tmp_path)!r})
    import child
    if __name__ == "__main__":
        once = [child.loss("jit"), child.loss("fused")]
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            for _ in range(2):
                for found, expected in zip(pool.map(child.loss, ["jit", "fused"]), once):
                    assert_same_bits(found, expected)
    """,
        PYTHONPATH=str(tmp_path),
    )


@needs_jit
@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize("layer", LAYERS)
def test_joblib(layer, backend):
    """FAULTS, row 18: joblib's processes and threads; the limit that loky sets on numba's threads is kept."""
    pytest.importorskip("joblib")
    on_layer(
        layer,
        f"""
    import joblib
    once = both()
    for _ in range(2):
        calls = [joblib.delayed(jitloss.softmax_loss)(W, X, y, 0.1) for _ in range(4)]
        for found in joblib.Parallel(2, backend={backend!r})(calls):
            assert_same_bits(found, once[2:])
    if {backend!r} == "loky":
        def size():
            import numba
            from jitloss_kernels import workers
            import jitloss
            jitloss.softmax_loss(np.ones((2, 2)), np.ones((2, 2)), [0, 1])
            return int(os.environ["NUMBA_NUM_THREADS"]), numba.config.NUMBA_NUM_THREADS, workers.size(None, 1000)
        for limit, pool, granted in joblib.Parallel(2, backend="loky")(joblib.delayed(size)() for _ in range(2)):
            assert limit == pool == granted
    """,
    )


@needs_jit
@pytest.mark.parametrize("layer", ["tbb", "omp"])
def test_inside_of_somebody_elses_parallel_loop(layer):
    """FAULTS, row 18: called from the body of a prange, through object mode."""
    on_layer(
        layer,
        """
    import numba
    once = both()
    found = [None] * 4
    def call(i):
        found[i] = both()
    @numba.njit(parallel=True)
    def loop():
        for i in numba.prange(4):
            with numba.objmode():
                call(i)
    loop()
    for one in found:
        assert_same_bits(one, once)
    """,
    )


@needs_jit
def test_other_libraries_keep_their_threads():
    """FAULTS, row 20: the pools of BLAS and OpenMP, and PyTorch's, are as large after our calls as before."""
    pytest.importorskip("threadpoolctl")
    check_in_fresh_process(
        SETUP
        + """
    import threadpoolctl
    try:
        import torch
    except ImportError:
        torch = None
    import sklearn.linear_model
    def sizes():
        pools = sorted((pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info())
        return pools, torch and torch.get_num_threads()
    before = dict(sizes()[0]), sizes()[1]
    for n_threads in (None, 1, 2, 3):
        jitloss.softmax_loss(W, X, y, n_threads=n_threads)
        jitloss.svm_loss(W, X, y, n_threads=n_threads, implementation="jit")
    after = dict(sizes()[0]), sizes()[1]
    assert before[0].items() <= after[0].items() and before[1] == after[1]
    """,
        NUMBA_NUM_THREADS="4",
    )


@needs_jit
def test_twenty_processes_on_a_cold_cache(tmp_path):
    """FAULTS, row 25: all compile, or load what another has written meanwhile; all are right."""
    code = (
        "import numpy as np, jitloss\n"
        "loss, dW = jitloss.svm_loss(np.eye(3), np.eye(3), [0, 1, 2], implementation='jit')\n"
        "assert abs(loss) < 1e-15 and not dW.any(), (loss, dW)\n"
    )
    import os

    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    children = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    for child in children:
        _, errors = child.communicate(timeout=240)
        assert child.returncode == 0, errors
        assert not errors


@needs_jit
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells what a process holds")
def test_out_of_memory_in_the_scratch_space():
    """FAULTS, row 31: MemoryError, before anything is written; and the next, smaller call is right."""
    check_in_fresh_process(
        SETUP
        + """
    import resource
    once = both()
    d = 1_000_000
    W2, X2, y2 = np.ones((d, 10)), np.broadcast_to(np.ones(d), (64, d)), np.arange(64) % 10
    out = np.full_like(W2, 7.0)
    jitloss.softmax_loss(W2[:50], X2[:, :50], y2, out=out[:50])  # compiled
    out[:] = 7.0
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20), -1))  # W and dW take 80 MB each, blocks of X more
    try:
        jitloss.softmax_loss(W2, X2, y2, out=out)
    except MemoryError:
        pass
    else:
        raise AssertionError("there was enough memory")
    assert (out == 7.0).all()
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    assert_same_bits(both(), once)
    """,
        NUMBA_NUM_THREADS="4",
    )


def test_more_than_two_to_the_31_numbers():
    """FAULTS, row 12: X of 2³¹ + 2¹⁰ entries. All rows but the last are zero: the answer follows by hand."""
    n, d = (1 << 21) + 1, 1 << 10
    X = np.zeros((n, d), np.uint8)  # memory that nobody has written to costs none
    X[-1] = np.arange(d) % 7
    y = np.zeros(n, np.int64)
    y[-1] = 1
    W = np.zeros((d, 2), np.float32)
    for given in (X, X[:, ::-1]):  # converted on the way, and copied block by block
        loss, dW = jitloss.softmax_loss(W, given, y)
        assert loss == pytest.approx(np.log(2), rel=1e-12)
        expected = given[-1] / (2 * n)
        np.testing.assert_allclose(dW, np.column_stack([expected, -expected]), rtol=1e-6)


def test_more_than_two_to_the_31_weights():
    """FAULTS, row 12: W of 2³¹ + 2¹⁰ entries, the loss alone."""
    d, c = (1 << 10) + 1, 1 << 21
    W = np.zeros((d, c), np.float32)
    W[-1, -1] = 3.0
    X = np.zeros((1, d), np.float32)
    X[0, -1] = 1.0
    (loss,) = jitloss.softmax_loss(W, X, [c - 1], wrt=())
    assert loss == pytest.approx(np.log(c - 1 + np.exp(3.0)) - 3.0, rel=1e-6)


@needs_jit
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells what a process holds")
def test_a_server_that_runs_for_weeks():
    """A quarter of a million small calls: no growth beyond 2 MB in a million, no thread left behind, no warning."""
    check_in_fresh_process(
        """
    import gc, threading, warnings
    import numpy as np
    import jitloss
    from pathlib import Path
    warnings.simplefilter("error")
    random = np.random.default_rng(0)
    W, X, y = random.standard_normal((64, 10)), random.standard_normal((32, 64)), random.integers(0, 10, 32)
    weights, out = random.uniform(0, 1, 32), np.empty_like(W)
    def calls(n):
        for _ in range(n):
            jitloss.softmax_loss(W, X, y, 1e-3)
            jitloss.svm_loss(W, X, y, sample_weight=weights, out=out)
            jitloss.softmax_loss(W, X, y, sample_weight=weights, ignore_index=3)
            try:
                jitloss.softmax_loss(W, X, y + 9)
            except ValueError:
                pass
    def held():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    calls(2000)
    before, running = held(), threading.active_count()
    calls(63_000)
    grown = held() - before
    assert grown < 1 << 19, grown
    assert threading.active_count() == running
    """,
        timeout=300,
    )


@needs_jit
def test_a_warning_is_given_once():
    """However many calls there are."""
    check_in_fresh_process(
        """
    import warnings
    import numpy as np
    import jitloss
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(50):
            jitloss.svm_loss(np.eye(3), np.eye(3), [0, 1, 2], implementation="jit")
            jitloss.softmax_loss(np.eye(3), np.eye(3), [0, 1, 2])
    assert len(seen) == 1, [str(w.message) for w in seen]
    """,
        NUMBA_CACHE_DIR="/proc/nowhere",
        HOME="/proc/nowhere",
        XDG_CACHE_HOME="/proc/nowhere",
    )
