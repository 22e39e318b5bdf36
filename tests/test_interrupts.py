"""FAULTS, row 30: Ctrl-C ends a long call within a second, on every layer, and leaves nothing behind."""

import gc
import weakref

import numpy as np
import pytest

import jitloss
from jitloss_kernels import counts, fused, helpers, threads, workers
from problems import check_in_fresh_process, make, needs_jit

# Rows that share memory: long calls with little of it. The number of rows, and a call of so many. A lane alone takes
# seconds, so that one that goes on to its end is told from one that stops; a slice of "jit" takes half of one.
CALLS = {
    "narrow": (20_000_000, "lambda n: jitloss.svm_loss(W, rows(n, 3000), np.zeros(n, int))"),
    "wide": (40_000, "lambda n: jitloss.softmax_loss(np.ones((3000, 900)), rows(n, 3000), np.zeros(n, int))"),
    "jit": (
        300_000,
        "lambda n, X=np.ones((300_000, 200)), y=np.zeros(300_000, int):"
        " jitloss.svm_loss(np.ones((200, 800)), X[:n], y[:n], implementation='jit')",
    ),
    "net": (1_500_000, "lambda n: net.loss(rows(n, 1000), np.zeros(n, int))"),
}


@needs_jit
@pytest.mark.parametrize(
    ("call", "layer", "n_threads"),
    [
        *(("narrow", layer, n) for layer, n in (("tbb", 1), ("tbb", 2), ("omp", 2), ("workqueue", 2))),
        *((call, layer, 2) for call in ("wide", "jit", "net") for layer in ("tbb", "omp")),
    ],
)
def test_an_interrupt_ends_a_long_call(layer, call, n_threads):
    if layer == "tbb" and not threads.load_tbb():
        pytest.skip("tbb is not installed")
    named = {} if layer == "tbb" else {"NUMBA_THREADING_LAYER": layer}
    check_in_fresh_process(
        f"""
        import os, signal, threading, time
        import numpy as np
        import jitloss
        from problems import make, assert_same_bits
        signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, it would be ignored
        def rows(n, d):
            return np.broadcast_to(np.linspace(-1, 1, d), (n, d))
        W, net = np.ones((3000, 10)), jitloss.TwoLayerNet(1000, 100, 10, rng=0)
        small = make((300, 200, 10))
        once = [jitloss.svm_loss(*small, implementation=name) for name in ("jit", "fused")]
        call = {CALLS[call][1]}
        call({CALLS[call][0]} // 100)  # compiled
        sent = []
        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        for _ in range(2):
            timer = threading.Timer(0.4, interrupt)
            timer.start()
            try:
                call({CALLS[call][0]})
            except KeyboardInterrupt:
                assert time.monotonic() - sent[-1] < 2  # a second, and one for whoever else is at work here
            else:
                raise AssertionError("the call came to its end: it is too short, or cannot be interrupted")
            for name, expected in zip(("jit", "fused"), once):
                assert_same_bits(jitloss.svm_loss(*small, implementation=name), expected)
        """,
        NUMBA_NUM_THREADS=str(n_threads),
        **named,
    )


@needs_jit
def test_a_long_call_has_the_bits_of_a_short_one(monkeypatch):
    """Left to helpers, or not: the same lanes."""
    check_in_fresh_process(
        """
        import threading
        import numpy as np
        import jitloss
        from jitloss_kernels import lanes, workers
        from problems import make, assert_same_bits
        problem = make((3000, 300, 10))
        net = jitloss.TwoLayerNet(300, 20, 10, rng=0)
        def all_of_them():
            loss, grads = net.loss(problem[1], problem[2])
            ours = [jitloss.softmax_loss(*problem, implementation=name) for name in ("jit", "fused")]
            return [*sum(ours, ()), loss, *grads.values()]
        expected = all_of_them()
        workers.LONG_FLOPS, lanes.SLICE_FLOPS = 1, 1
        for _ in range(3):
            assert_same_bits(all_of_them(), expected)
        assert any(thread.name == "jitloss" for thread in threading.enumerate())
        """,
        NUMBA_NUM_THREADS="3",
    )


@needs_jit
def test_what_a_helper_still_needs_outlives_an_interrupted_call(monkeypatch):
    """Interrupted when a helper has the call already: kernels know the arrays of the options by their addresses.

    The helper finds nothing left to do: what it would write to is the caller's again.
    """
    handed, arrays, options_of = [], [], fused.options_of

    class Interrupted:
        n_helpers = 2

        def hire(self, n_helpers):
            pass

        def call(self, n_helpers, function, arguments):
            handed.append(arguments)
            raise KeyboardInterrupt

    def noted(*asked):
        options, made = options_of(*asked)
        arrays.extend(weakref.ref(array) for array in made if array is not None)
        return options, made

    monkeypatch.setattr(fused, "options_of", noted)
    monkeypatch.setattr(helpers, "team", Interrupted)
    monkeypatch.setattr(workers, "LONG_FLOPS", 1)
    W, X, y = make((4000, 100, 10))
    with pytest.raises(KeyboardInterrupt):
        jitloss.softmax_loss(W, X, y, sample_weight=np.ones(len(y)), class_weight=np.ones(10), reduction="none")
    gc.collect()
    assert (handed[0][0][0] == counts.ALL_DONE).all()
    assert len(arrays) == 3
    assert all(array() is not None for array in arrays)
    handed.clear()
    gc.collect()
    assert all(array() is None for array in arrays)


# Two helpers are hired, and the first is kept busy until what is returned is set.
BUSY_HELPER = """
    import threading
    import numpy as np
    import jitloss
    from jitloss_kernels import helpers, memory, workers
    from problems import assert_same_bits, make
    team = helpers.team()
    def keep_one_busy():
        busy, free = threading.Event(), threading.Event()
        def keep():
            busy.set()
            free.wait()
        team.hire(2)
        team.call(1, keep, ())
        busy.wait()
        return free
"""


@needs_jit
def test_a_long_call_is_over_though_a_helper_is_kept_busy_by_others():
    """The first helper that comes back has seen all of it done; the other finds nothing to do, whenever it comes."""
    check_in_fresh_process(
        BUSY_HELPER
        + """
    import signal
    if hasattr(signal, "alarm"):
        signal.alarm(30)
    problem = make((3000, 300, 10))
    expected = jitloss.softmax_loss(*problem)
    workers.LONG_FLOPS = 1
    free = keep_one_busy()
    assert_same_bits(jitloss.softmax_loss(*problem), expected)
    free.set()
    assert_same_bits(jitloss.softmax_loss(*problem), expected)
    """,
        NUMBA_NUM_THREADS="2",
    )


@needs_jit
@pytest.mark.parametrize("implementation", ["fused", "jit"])
def test_an_interrupt_waits_until_code_is_compiled(implementation, tmp_path):
    """Every time that LLVM is at work: an exception in between is lost, and can crash the process."""
    check_in_fresh_process(
        f"""
        import signal
        import numpy as np
        import jitloss
        from numba.core.codegen import CPUCodeLibrary
        signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs in the background ignores it
        problem = np.ones((3, 2)), np.ones((4, 3)), np.zeros(4, int)
        finalize, finished, raised = CPUCodeLibrary.finalize, [0, 0], []
        def interrupted(library):
            finished[0] += 1
            signal.raise_signal(signal.SIGINT)
            finalize(library)
            finished[1] += 1
        CPUCodeLibrary.finalize = interrupted
        while True:
            try:
                jitloss.softmax_loss(*problem, implementation={implementation!r})
                break
            except KeyboardInterrupt:
                raised.append(None)
        assert finished[0] == finished[1] > 0, finished
        assert raised
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        """,
        NUMBA_CACHE_DIR=str(tmp_path),
    )


@needs_jit
@pytest.mark.parametrize(
    ("pool", "call"),
    [
        ("memory.SHARED", "jitloss.softmax_loss(*problem)"),
        ("memory.SHARED", "jitloss.softmax_loss(np.ones((40, 700)), *problem[1:])"),
        ("net._pool", "net.loss(*problem[1:])"),
    ],
    ids=["narrow", "wide", "net"],
)
def test_a_helper_that_comes_late_leaves_the_scratch_alone(pool, call):
    """When the call is over its scratch is somebody else's, whoever has not come yet."""
    check_in_fresh_process(
        BUSY_HELPER
        + f"""
    problem = make((3000, 40, 10))
    net = jitloss.TwoLayerNet(40, 12, 10, rng=0)
    {call}  # compiled
    workers.LONG_FLOPS = 1
    free, late = keep_one_busy(), threading.Event()
    {call}
    scratch = [one.items for kept in {pool}._kept.values() for one in kept]
    assert scratch
    for items in scratch:
        items[:] = 12345
    free.set()
    team._bells[0].put((late.set, ()))
    assert late.wait(10)
    assert all((items == 12345).all() for items in scratch)
    """,
        NUMBA_NUM_THREADS="2",
    )
