"""Lanes: their bounds, their edges, and the same bits however they are run."""

import numpy as np
import pytest

import jitloss
from jitloss_kernels import lanes, pointers, threads
from problems import DTYPES, LOSSES, assert_close, assert_same_bits, check_in_fresh_process, make, needs_jit

D, C = 200, 10
TWO_LANES = 2 * lanes.LANE_FLOPS // (4 * D * C)  # rows that just make two lanes of this shape


def run(loss, W, X, y, **options):
    options = {"implementation": "jit"} | options
    return getattr(jitloss, f"{loss}_loss")(W, X, y, 0.1, wrt=("W", "X"), **options)


def test_number_of_lanes_by_hand():
    """A power of two, from one lane of tiny problems to MAX_LANES of large ones; fewer where dW is large."""
    assert lanes.lane_count(0, 1, 1) == 1
    assert lanes.lane_count(TWO_LANES - 1, D, C) == 1
    assert lanes.lane_count(TWO_LANES, D, C) == 2
    assert lanes.lane_count(49_000, 3073, 10) == lanes.MAX_LANES == 64
    assert lanes.lane_count(10**6, 5000, 3000) == 1  # one partial gradient is 120 MB already
    for n_rows in (1, 63, 128, 1000, 12345):
        n_lanes = lanes.lane_count(n_rows, 3073, 10)
        assert n_lanes & (n_lanes - 1) == 0
        assert n_lanes == 1 or n_rows // n_lanes >= lanes.LANE_ROWS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_rows", [TWO_LANES - 1, TWO_LANES, TWO_LANES + 1, 4 * TWO_LANES + 3, 9 * TWO_LANES - 1])
def test_rows_around_the_edges_of_lanes(loss, dtype, n_rows):
    """One lane, two, and more than three, whose rows do not divide evenly."""
    W, X, y = make((n_rows, D, C), dtype)
    assert_close(run(loss, W, X, y), run(loss, W, X, y, implementation="numpy"), dtype)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "n_rows", [lanes.CHUNK_ROWS - 1, lanes.CHUNK_ROWS, lanes.CHUNK_ROWS + 1, 3 * lanes.CHUNK_ROWS + 1]
)
def test_rows_around_the_edges_of_chunks(loss, n_rows):
    """float32 gradients are added up a chunk at a time, within one lane here."""
    assert lanes.lane_count(n_rows, 5, 3) == 1
    W, X, y = make((n_rows, 5, 3), "float32")
    assert_close(run(loss, W, X, y), run(loss, W, X, y, implementation="numpy"), "float32")


def test_float32_gradients_of_many_rows_stay_close_to_the_truth():
    """A million rows of one sign: a plain float32 sum would lose three digits; NumPy's blocked one is the yardstick."""
    n_rows = 1_000_000
    random = np.random.default_rng(3)
    X = (1 + random.random((n_rows, 2))).astype(np.float32)
    W, y = np.zeros((2, 2), np.float32), np.zeros(n_rows, np.int64)
    truth = jitloss.softmax_loss(W.astype(np.float64), X, y, implementation="numpy")[1]
    errors = {
        name: float(np.abs(jitloss.softmax_loss(W, X, y, implementation=name)[1] - truth).max() / np.abs(truth).max())
        for name in ("numpy", "jit")
    }
    assert errors["jit"] <= max(errors["numpy"], 2 * np.finfo(np.float32).eps)


@needs_jit
@pytest.mark.parametrize("loss", LOSSES)
def test_parallel_and_serial_both_run_and_give_the_same_bits(loss, monkeypatch):
    """One thread takes the serial kernel, two the parallel one."""
    if threads.pool_size() < 2:
        pytest.skip("a pool of one thread never launches")
    W, X, y = make((4 * TWO_LANES + 3, D, C))
    ran = []
    for way in ("serial", "parallel"):
        kernel = getattr(lanes.run_lanes, way)
        monkeypatch.setitem(
            lanes.run_lanes.__dict__, way, lambda *args, kernel=kernel, way=way: (ran.append(way), kernel(*args))[1]
        )
    serial, parallel = run(loss, W, X, y, n_threads=1), run(loss, W, X, y, n_threads=2)
    assert ran == ["serial", "parallel"]
    assert_same_bits(parallel, serial)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_long_lane_is_done_in_slices(dtype, monkeypatch):
    """Of a chunk each, if that is all that is done between two looks for a Ctrl-C; with the same bits."""
    problem = make((4 * lanes.CHUNK_ROWS + 1, 3, 2), dtype)
    launches = []

    def launch(*arguments):
        launches.append(arguments)
        return threads.launch(*arguments)

    monkeypatch.setattr(lanes, "launch", launch)
    whole = run("svm", *problem)
    assert len(launches) == 1
    monkeypatch.setattr(lanes, "SLICE_FLOPS", 1)
    assert_same_bits(run("svm", *problem), whole)
    assert len(launches) == 1 + 5


@needs_jit
def test_a_lane_is_one_function_for_every_launch(tmp_path):
    """Not a part of the parallel kernel and of the serial one: there it could be vectorised in two ways."""
    check_in_fresh_process("""
        from problems import make
        import jitloss
        problem = make((5000, 64, 10))
        for n_threads in (1, 2):
            jitloss.svm_loss(*problem, implementation="jit", n_threads=n_threads)
        from jitloss_kernels import lanes
        assert len(lanes.one_lane.addressed.signatures) == 1
        for kernel in (lanes.run_lanes.serial, lanes.run_lanes.parallel):
            (code,) = kernel.inspect_asm().values()
            assert "svm_rows" not in code
            assert ".weak" not in code  # nothing that the linker could take from elsewhere
    """, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="2", NUMBA_BOUNDSCHECK="0")  # fmt: skip


BITS = """
    from functools import partial
    import numba, numpy as np
    from problems import make, assert_same_bits
    from jitloss_kernels import jit, lanes, threads
    import jitloss

    @jit.Kernel
    def mask_seen():
        return numba.get_num_threads()

    for loss in (partial(function, implementation="jit") for function in (jitloss.svm_loss, jitloss.softmax_loss)):
        for dtype in ("float64", "float32"):
            W, X, y = make((3001, 200, 10), dtype)
            assert lanes.lane_count(*X.shape, 10) >= 8
            once = loss(W, X, y, 0.1, wrt=("W", "X"), n_threads=1)
            for n_threads in (1, 2, 3, 5, 8, None):
                assert_same_bits(loss(W, X, y, 0.1, wrt=("W", "X"), n_threads=n_threads), once)
                assert_same_bits(loss(W, X, y, 0.1, wrt=("X",), n_threads=n_threads), (once[0], once[2]))
                assert_same_bits(loss(W, X, y, 0.1, wrt=(), n_threads=n_threads), once[:1])
            print(float.hex(once[0]), *(float.hex(float(np.abs(g).sum())) for g in once[1:]))
    for n_threads in (2, 3, 5, 8):
        assert threads.launch(mask_seen, 64, n_threads, ()) == n_threads
    assert threads.launch(mask_seen, 64, None, ()) == numba.get_num_threads() == 8
    assert numba.threading_layer() == LAYER
"""


@needs_jit
def test_same_bits_for_any_number_of_threads_on_any_layer():
    """Processes with a pool of 8, on tbb, omp and workqueue: 1, 2, 3, 5 and 8 threads, every wrt, one set of bits."""
    outputs = set()
    layers = []
    for layer in ("tbb", "omp", "workqueue"):
        if layer == "tbb" and not threads.load_tbb():
            continue
        setting = {} if layer == "tbb" else {"NUMBA_THREADING_LAYER": layer}
        outputs.add(check_in_fresh_process(BITS.replace("LAYER", repr(layer)), NUMBA_NUM_THREADS="8", **setting))
        layers.append(layer)
    assert len(layers) >= 2
    assert len(outputs) == 1


def test_same_bits_from_call_to_call():
    """Ten repetitions, and the loss alone."""
    W, X, y = make((1000, 64, 10), "float32")
    once = run("softmax", W, X, y)
    for _ in range(10):
        assert_same_bits(run("softmax", W, X, y), once)
    assert jitloss.softmax_loss(W, X, y, 0.1, wrt=(), implementation="jit") == once[:1]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(5000, 3, 2), (3 * TWO_LANES, D, C)])
def test_the_loss_does_not_depend_on_what_else_is_asked_for(loss, shape):
    """Rows of very different sizes, so that every change of the order of the sum shows; several chunks."""
    W, X, y = make(shape, "float32")
    X *= np.float32(10) ** np.random.default_rng(1).uniform(-12, 12, (len(X), 1)).astype(np.float32)
    function = getattr(jitloss, f"{loss}_loss")
    assert len({function(W, X, y, 0.1, wrt=wrt, implementation="jit")[0] for wrt in ((), "W", "X", ("W", "X"))}) == 1


@needs_jit
def test_few_signatures_are_compiled():
    """Loss and dtype choose the code; wrt, out, reg, layout, label dtype and shape do not."""
    seen = set()
    for loss in LOSSES:
        for dtype in DTYPES:
            for n_rows in (1, 5):
                W, X, y = make((n_rows, 4, 3), dtype)
                X.flags.writeable = n_rows == 1
                for wrt in ("W", "X", (), ("X", "W")):
                    getattr(jitloss, f"{loss}_loss")(
                        np.asfortranarray(W), X, y.astype(np.int16), n_rows,
                        wrt=wrt, n_threads=1, implementation="jit",
                    )  # fmt: skip
            seen.add((loss, dtype))
    assert len(lanes.run_lanes.serial.signatures) == len(seen) == 4
    assert len(lanes.one_lane.addressed.signatures) == (4 if pointers.by_address() else 0)
    assert len(lanes.fold.serial.signatures) == len(DTYPES)
