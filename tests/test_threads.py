"""Threading layers, forks, thread masks: what a host program sees of our launches."""

import pytest

from jitloss_kernels import threads
from problems import check_in_fresh_process, needs_jit

SETUP = """
    import os, sys, threading
    import numba, numpy as np
    import jitloss
    from jitloss_kernels import lanes, threads
    from problems import make, assert_same_bits
    W, X, y = make((2000, 200, 10))
    def loss(n_threads=None):
        return sum((jitloss.softmax_loss(W, X, y, 0.1, wrt=("W", "X"), n_threads=n_threads, implementation=name)
                    for name in ("jit", "fused")), ())
    assert lanes.lane_count(*X.shape, 10) > 1
"""
# For tests of forks: what `work` asserts in a child is asserted in the parent; a child that hangs is ended.
CHILDREN = """
    import signal
    def in_a_child(work):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            try:
                work()
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    def again():
        assert_same_bits(loss(), once)
"""
LAYERS = ["tbb", "omp", "workqueue"]


def check_on_layer(layer: str, code: str) -> str:
    """Run `code` with a pool of 4 on `layer`; tbb is found without being named."""
    if layer == "tbb" and not threads.load_tbb():
        pytest.skip("tbb is not installed")
    setting = {} if layer == "tbb" else {"NUMBA_THREADING_LAYER": layer}
    return check_in_fresh_process(SETUP + code, NUMBA_NUM_THREADS="4", **setting)


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_is_the_one_asked_for(layer):
    """And numba's own settings are as they were."""
    check_on_layer(layer, f"""
    before = numba.config.THREADING_LAYER
    loss()
    assert numba.threading_layer() == {layer!r}
    assert numba.config.THREADING_LAYER == before
    assert jitloss.info()["threading_layer"] == {layer!r}
    """)  # fmt: skip


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_the_callers_mask_is_kept(layer):
    """A call on 1, 2 or too many threads leaves numba's mask as it was; without n_threads the mask is the limit."""
    check_on_layer(layer, """
    from jitloss_kernels.jit import Kernel
    @Kernel
    def mask():
        return numba.get_num_threads()
    once = loss()
    numba.set_num_threads(3)
    for n_threads in (1, 2, 4, 99, None):
        assert_same_bits(loss(n_threads), once)
        assert numba.get_num_threads() == 3
    assert threads.launch(mask, 8, None, ()) == 3
    assert threads.launch(mask, 8, 99, ()) == 4     # held to the pool
    try:
        threads.launch(mask, 8, 2, ("one argument too many",))
    except TypeError:
        assert numba.get_num_threads() == 3
    else:
        raise AssertionError
    """)  # fmt: skip


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_eight_python_threads_at_once(layer):
    """Right on every layer: no abort, no deadlock."""
    check_on_layer(layer, """
    once, wrong = loss(), []
    def work():
        for _ in range(20):
            try:
                assert_same_bits(loss(), once)
            except BaseException as error:
                wrong.append(error)
    crowd = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in crowd]; [t.join() for t in crowd]
    assert not wrong, wrong
    """)  # fmt: skip


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_fork_after_a_call_and_again_in_the_child(layer):
    """Child and grandchild compute the same bits; neither is killed nor hangs."""
    check_on_layer(layer, CHILDREN + """
    once = loss()
    def twice():
        again()
        in_a_child(again)
    in_a_child(again)
    in_a_child(twice)
    again()
    """)  # fmt: skip


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("first", ["main", "other"])
def test_a_fork_beside_a_thread_that_has_called(layer, first):
    """Were it known to tbb, its pool could not be shut down for the fork: the child would hang, now and then."""
    printed = check_on_layer(layer, CHILDREN + f"""
    def call():
        calls.append(loss())
        called.set()
        done.wait()
    calls, called, done = [], threading.Event(), threading.Event()
    if {first!r} == "main":
        loss()
    threading.Thread(target=call, daemon=True).start()
    called.wait()
    once, = calls
    def twice():
        again()
        in_a_child(again)
        again()
    signal.alarm(60)
    for _ in range(5):
        in_a_child(twice)
        again()
    done.set()
    """)  # fmt: skip
    assert "fork" not in printed  # numba says so where tbb is not shut down


@needs_jit
@pytest.mark.parametrize("layer", LAYERS)
def test_a_long_call_in_a_forked_child(layer):
    """It is left to helpers (FAULTS, row 30), and the parent's are not there."""
    check_on_layer(layer, CHILDREN + """
    from jitloss_kernels import helpers, workers
    workers.LONG_FLOPS = lanes.SLICE_FLOPS = 1
    once = loss()
    assert helpers.team().n_helpers
    for _ in range(3):
        in_a_child(again)
        again()
    """)  # fmt: skip


@needs_jit
def test_a_fork_while_another_thread_holds_the_turn():
    """The lock that makes launches on workqueue take turns is new in the child."""
    check_on_layer("workqueue", """
    import signal
    once, held, done = loss(), threading.Event(), threading.Event()
    def hold():
        with threads._turns:
            held.set()
            done.wait()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        assert_same_bits(loss(), once)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    done.set()
    assert status == 0
    """)  # fmt: skip


@needs_jit
def test_small_problems_start_no_threads():
    """One lane, or one thread, is an ordinary function call."""
    check_in_fresh_process(SETUP + """
    jitloss.softmax_loss(W, X[:5], y[:5])
    loss(1)
    assert threads.running_layer() is None
    """)  # fmt: skip


@needs_jit
def test_a_layer_that_runs_already_is_kept():
    """Another package's choice stands, and no second runtime is loaded beside it."""
    check_on_layer("workqueue", """
    numba.get_num_threads()
    called = []
    threads.load_tbb = lambda: called.append(1)
    loss()
    assert numba.threading_layer() == "workqueue" and not called
    """)  # fmt: skip


@needs_jit
def test_tbb_named_by_the_user_is_found_too():
    """As with no name at all, pip's library is loaded for numba."""
    if not threads.load_tbb():
        pytest.skip("tbb is not installed")
    for name in ("tbb", "safe", "threadsafe", "forksafe"):
        check_in_fresh_process(
            SETUP + "    loss(); assert numba.threading_layer() == 'tbb'",
            NUMBA_THREADING_LAYER=name,
            NUMBA_NUM_THREADS="2",
        )


@needs_jit
def test_a_layer_that_is_not_to_be_had():
    """One warning, and the lanes run one after the other."""
    check_in_fresh_process(SETUP + """
    import warnings
    def unavailable(): raise ValueError("No threading layer could be loaded.")
    threads.numba = type("numba", (), {"threading_layer": unavailable, "get_num_threads": unavailable})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first = loss()
        assert_same_bits(loss(), first)
    assert_same_bits(loss(1), first)
    assert [str(w.message)[:9] for w in caught] == ["jitloss: "], caught
    """, NUMBA_NUM_THREADS="2")  # fmt: skip


@needs_jit
def test_a_fork_of_a_process_that_ran_numba_on_omp_without_us():
    """The kernels are imported in the child alone; the pool that they find there has no threads left."""
    check_in_fresh_process("""
    import os
    import numba
    @numba.njit(parallel=True)
    def theirs(n):
        total = 0
        for i in numba.prange(n):
            total += i
        return total
    theirs(1000)
    assert numba.threading_layer() == "omp"
    from problems import make
    W, X, y = make((2000, 200, 10))
    child = os.fork()
    if child == 0:
        import jitloss
        jitloss.softmax_loss(W, X, y)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    import jitloss
    from jitloss_kernels import threads
    jitloss.softmax_loss(W, X, y)
    assert not threads._pool_is_lost
    """, NUMBA_THREADING_LAYER="omp", NUMBA_NUM_THREADS="2")  # fmt: skip


def test_tbb_is_not_needed(monkeypatch):
    """Without the package, or with one too old, numba chooses as it always does."""

    def missing(name):
        raise threads.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(threads.importlib.metadata, "files", missing)
    monkeypatch.setattr(threads.sys, "prefix", "/nowhere")
    monkeypatch.setattr(threads.site, "getuserbase", lambda: "/nowhere")
    assert threads.load_tbb() is False


def test_a_tbb_that_is_too_old_is_passed_over(monkeypatch):
    class Old:
        def TBB_runtime_interface_version(self):
            return 12050

    monkeypatch.setattr(threads, "_tbb_candidates", lambda: iter(["old"]))
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda path: Old())
    assert threads.load_tbb() is False
