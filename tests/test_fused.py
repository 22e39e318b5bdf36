"""The fused engine: right on both sides of every edge, and the same bits however it is run."""

import numpy as np
import pytest

from jitloss import svm_loss
from jitloss.losses import LOSSES as TABLE
from jitloss_kernels import fused, narrow, narrow_plan, short, threads, wide, wide_plan
from jitloss_kernels.shapes import TALLEST, panel_items
from pages import beside_unmapped_pages
from problems import (
    DTYPES,
    JIT_DISABLED,
    LOSSES,
    assert_close,
    assert_same_bits,
    check_in_fresh_process,
    layouts,
    make,
    needs_jit,
)

FORMS = [("W",), ("b",), ("X",), ("W", "b"), ("X", "W"), ("W", "b", "X"), ()]
# One problem for each way to go: few classes, several groups of them, rows in several chunks, and in segments; many
# classes, few rows.
SHAPES = {
    "narrow": (700, 129, 10), "groups": (300, 64, 23), "chunks": (90, 1100, 4), "segments": (260, 6400, 23),
    "wide": (300, 65, 410), "few": (5, 200, 14), "short": (9, 203, 11), "long": (4, 4109, 3),
}  # fmt: skip


def bias_of(W):
    return np.linspace(-1, 1, W.shape[1]).astype(W.dtype)


def around(n):
    return (n - 1, n, n + 1)


def check(shape, dtype, loss="softmax", wrt=("W", "b", "X"), reg=0.1):
    """Fused against the reference in float64."""
    W, X, y = make(shape, dtype)
    bias = bias_of(W) if loss == "softmax" else np.zeros_like(W[0])  # `make` keeps margins off the kink without a bias
    found = TABLE[loss].function(W, X, y, reg, bias=bias, wrt=wrt, implementation="fused")
    W, X, bias = (a.astype(np.float64) for a in (W, X, bias))
    assert_close(found, TABLE[loss].function(W, X, y, reg, bias=bias, wrt=wrt, implementation="numpy"), dtype)


def edges():
    """Shapes with one dimension around an edge of a tile, a strip, a block, a lane, a panel or a group."""
    shapes = set()
    tall, panel = TALLEST, panel_items(4)
    for n in {*around(16), *around(24), *around(128), *around(192), 3 * 128 + 1}:
        shapes.add((n, 30, 5))
    for d in {1, 2, *around(8), *around(16), *around(32), *around(256), *around(1024)}:
        shapes.add((40, d, 3))
    for n in {*around(64), *around(128), 3 * 64 + 1}:  # in float64 a class is the pivot from 64 rows on; see `pivots`
        shapes.add((n, 30, 7))
    for c in {*around(6), *around(tall), *around(tall + 1)}:
        shapes.add((65, 300, c))
    for d in {1, 2, *around(8), *around(16), *around(256)}:
        shapes.add((70, d, tall))
    for d in {*around(1344), *around(1440), *around(2880)}:  # a few chunks
        shapes.add((45, d, 2 * tall + 1))
    for d in () if JIT_DISABLED else {*around(2880), 3200, *around(5760), 8700}:  # one segment, and more
        shapes.add((260, d, 2 * tall + 1))
    for c in {1, 2, 3, 7, 26, *around(tall), *around(2 * tall), *around(48), 100, *around(128)}:
        shapes.add((33, 20, c))
    for c in {*around(panel), *around(4 * panel + 128), 1000}:
        shapes.add((25, 9, max(c, 129)))
    for n in {1, 2, *around(tall), *around(20), *around(24)}:
        shapes.add((n, 35, 4))
        shapes.add((n, 35, 140))
    for d in {1, *around(tall), *around(8 * tall), *around(256)}:
        shapes.add((30, d, 130))
    return sorted(shapes)[:: 6 if JIT_DISABLED else 1]  # Python takes seconds for what machine code does in no time


@pytest.mark.parametrize("item_bytes", [4, 8])
def test_there_is_a_problem_for_each_way(item_bytes):
    """How large blocks and caches are taken to be changes; then these shapes have to change, too."""

    def plan(name):
        return narrow_plan.plan(*SHAPES[name], item_bytes, "direct", ("W",))

    for name, kernel in {"narrow": narrow, "groups": narrow, "segments": narrow, "wide": wide, "short": short}.items():
        assert fused.way_of(*SHAPES[name], item_bytes)[0] is kernel.run
    assert plan("narrow").group == plan("narrow").n_columns
    assert plan("groups").group < plan("groups").n_columns
    assert plan("chunks").chunk < plan("chunks").segment
    assert plan("segments").segment < plan("segments").width
    assert plan("segments").n_lanes > 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", edges(), ids=str)
def test_edges(shape, dtype):
    """Both losses, all gradients, a regulariser."""
    for loss in LOSSES:
        check(shape, dtype, loss)


@needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(2000, 2100, 6), (3100, 40, 200), (70, 1500, 300), (900, 40, 420), (20_000, 7, 3)], ids=str
)
def test_several_blocks_lanes_and_groups(shape, dtype):
    check(shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrt", FORMS, ids="".join)
@pytest.mark.parametrize("way", SHAPES)
def test_a_gradient_has_the_same_bits_whatever_else_is_asked_for(way, wrt, dtype):
    shape = SHAPES[way] if not JIT_DISABLED else tuple(min(n, 34) for n in SHAPES[way])
    W, X, y = make(shape, dtype)
    call = TABLE["softmax"].function
    whole = dict(zip("LWbX", call(W, X, y, 0.5, bias=bias_of(W), wrt=("W", "b", "X")), strict=True))
    found = call(W, X, y, 0.5, bias=bias_of(W), wrt=wrt)
    assert_same_bits(found, [whole["L"], *(whole[name] for name in wrt)])


@needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("way", SHAPES)
def test_every_layout_has_the_same_bits(way, dtype, tmp_path):
    W, X, y = make(SHAPES[way], dtype)
    expected = svm_loss(W, X, y, wrt=("W", "X"))
    for name, copy in layouts(X, tmp_path):
        assert_same_bits(svm_loss(W, copy, y, wrt=("W", "X")), expected), name
    for name, copy in layouts(W, tmp_path):
        assert_same_bits(svm_loss(copy, X, y, wrt=("W", "X")), expected), name


@pytest.mark.parametrize("given", ["uint8", "bool", "int16", "int64"])
@pytest.mark.parametrize("way", ["narrow", "wide", "short"])
def test_integers_have_the_bits_of_their_floats(way, given):
    """Images as they come: X is converted block by block."""
    shape = tuple(min(n, 40 if JIT_DISABLED else 150) for n in SHAPES[way])
    W, _, y = make(shape, "float32")
    X = np.random.default_rng(0).integers(0, 2 if given == "bool" else 120, shape[:2]).astype(given)
    expected = svm_loss(W, X.astype(np.float32), y, wrt=("W", "X"))
    assert_same_bits(svm_loss(W, X, y, wrt=("W", "X")), expected)


def test_mixed_floats_compute_in_float64():
    W, X, y = make((40, 9, 4), "float64")
    X = X.astype(np.float32)
    assert_same_bits(svm_loss(W, X, y, wrt=("W", "X")), svm_loss(W, X.astype(np.float64), y, wrt=("W", "X")))


@needs_jit
@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue", "none"])
def test_the_same_bits_for_any_number_of_threads(layer):
    """FAULTS, row 14: helpers of our own do the work, whatever layer numba runs on; none is started for it."""
    if layer == "tbb" and not threads.load_tbb():
        pytest.skip("tbb is not installed")
    check_in_fresh_process(
        f"""
        from test_fused import *
        from jitloss import softmax_loss
        if {layer != "none"}:
            assert threads.start_layer() == {layer!r}
        for dtype in DTYPES:
            for shape in (*SHAPES.values(), (1500, 1000, 10), (900, 300, 200)):
                W, X, y = make(shape, dtype)
                asked = {{"sample_weight": np.linspace(0, 1, len(y)), "class_weight": np.linspace(1, 2, W.shape[1])}}
                asked |= {{"ignore_index": 1, "label_smoothing": 0.1}}
                for call, more in ((svm_loss, {{}}), (softmax_loss, asked)):
                    options = {{"bias": bias_of(W), "wrt": ("W", "b", "X"), **more}}
                    expected = call(W, X, y, 0.1, n_threads=1, **options)
                    for n_threads in (2, 3, 5, 8, None):
                        for _ in range(4):
                            assert_same_bits(call(W, X, y, 0.1, n_threads=n_threads, **options), expected)
        assert threads.running_layer() == {None if layer == "none" else layer!r}
        """,
        NUMBA_NUM_THREADS="8",
        **({"NUMBA_THREADING_LAYER": layer} if layer in ("omp", "workqueue") else {}),
    )


@needs_jit
def test_all_threads_take_part():
    """A promise of the same bits is worth nothing if one thread does everything."""
    check_in_fresh_process(
        """
        from test_fused import *
        from jitloss_kernels import workers
        shape = (3000, 2000, 10)
        W, X, y = make(shape, "float32")
        asked = []
        run = workers.run
        workers.run = lambda *given: (asked.append(given[2]), run(*given))
        svm_loss(W, X, y, n_threads=3)
        svm_loss(W, X, y)
        svm_loss(W, X, y, n_threads=100)
        svm_loss(W[:5], X[:9, :5], y[:9])
        assert asked == [3, 4, 4, 1], asked
        """,  # the last one is too small for a launch
        NUMBA_NUM_THREADS="4",
    )


@needs_jit
def test_one_compiled_signature_for_a_loss_dtype_and_kind_of_input():
    """Options, wrt and shapes are run-time values."""
    check_in_fresh_process(
        """
        from jitloss_kernels import pointers
        from test_fused import *
        for shape in SHAPES.values():
            W, X, y = make(shape, "float32")
            for wrt in FORMS:
                svm_loss(W, X, y, 0.1, bias=bias_of(W), wrt=wrt)
            svm_loss(W, X, y)
            W.flags.writeable = X.flags.writeable = False
            svm_loss(W, X, y)
        way = "addressed" if pointers.by_address() else "serial"
        for kernel in (narrow.run, wide.run, short.run):
            assert len(getattr(kernel, way).signatures) == 1, getattr(kernel, way).signatures
        W, X, y = make(SHAPES["narrow"], "float32")
        svm_loss(W, np.asfortranarray(X), y)  # its blocks are copied
        assert len(getattr(narrow.run, way).signatures) == 2, getattr(narrow.run, way).signatures
        """
    )


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((0, 5, 3), narrow), ((17, 50, 9), wide), ((18, 50, 9), narrow), ((0, 5, 9), narrow),
        ((1, 5000, 8), short), ((9, 36, 3), short), ((9, 35, 3), narrow), ((5, 200, 12), short), ((5, 200, 13), wide),
        ((33, 200, 5), short), ((33, 200, 6), narrow), ((16, 5462, 12), short), ((17, 5462, 12), wide),
        ((1, 262_144, 8), short), ((1, 262_145, 8), narrow),
        ((16, 131_073, 2), narrow), ((64, 256, 3), short), ((65, 300, 2), narrow),
        ((256, 9000, 128), narrow), ((300, 9000, 129), wide), ((300, 2000, 129), narrow),
        ((800, 600, 400), narrow), ((900, 600, 401), wide), ((255, 3300, 10), wide), ((256, 3300, 10), narrow),
    ],
)  # fmt: skip
def test_the_way_follows_from_the_shape(shape, way):
    assert fused.way_of(*shape, 8)[0] is way.run


@needs_jit
@beside_unmapped_pages
def test_nothing_outside_the_arrays_is_touched(at_end):
    """Inputs, outputs and scratch of the whole engine, each against a page that cannot be touched."""
    check_in_fresh_process(
        f"""
        from types import SimpleNamespace
        from test_fused import *
        from jitloss import Objective, TwoLayerNet, softmax_loss
        from pages import page_bound
        from jitloss_kernels import memory
        place = lambda array: page_bound(array, {at_end})
        whole = memory.aligned
        memory.aligned = lambda shape, dtype: place(whole(shape, dtype))
        memory.Pool.borrow = lambda pool, n_items, n_sums, dtype: SimpleNamespace(
            items=memory.aligned((n_items,), dtype), sums=memory.aligned((n_sums,), np.dtype(np.float64))
        )
        memory.Pool.give_back = lambda pool, scratch: None
        for dtype in DTYPES:
            for shape in (*SHAPES.values(), (33, 65, 3), (1, 1, 2), (2, 70, 33), (200, 17, 70), (70, 1100, 12)):
                W, X, y = map(place, make(shape, dtype))
                out = [place(np.empty(s, dtype)) for s in (W.shape, W.shape[1:], X.shape)]
                bias = place(bias_of(W))
                for call in (loss.function for loss in TABLE.values()):
                    found = call(W, X, y, 0.1, bias=bias, wrt=("W", "b", "X"), out=out)
                    copied = call(W.copy(), np.asfortranarray(X), y, 0.1, bias=bias, wrt=("W", "b", "X"))
                    assert_same_bits(found, copied)
                pixels = (X > 0).astype(np.uint8) * 200
                assert_same_bits(softmax_loss(W, place(pixels), y), softmax_loss(W, pixels.astype(dtype), y))
                per_class, weights = place(np.linspace(0.5, 2, len(bias))), place(np.linspace(0, 2, len(y)) + 0.1)
                options = {{"class_weight": per_class, "sample_weight": weights, "reduction": "none"}}
                for call in (softmax_loss, lambda *a, **k: svm_loss(*a, multiclass="crammer_singer", power=2, **k)):
                    more = {{"label_smoothing": 0.1}} if call is softmax_loss else {{}}
                    call(W, X, y, ignore_index=0 if y.any() else -1, **options, **more)
                rows = np.arange(len(y))[::-1].copy()
                Objective(X, y, n_classes=len(bias)).batch(rows).value_and_grad(W)
                if len(bias) < 100:
                    TwoLayerNet(len(W), 12, len(bias), std=0.1, dtype=dtype).loss(X, y)
        """,
        timeout=300,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(60, 5, 3), (40, 5, 140), (6, 5, 3), (6, 40, 3)], ids=str)
def test_nan_is_never_lost(shape, dtype):
    """FAULTS, row 10: wherever one NaN stands in X, the loss is NaN; the other rows keep their dX."""
    W, X, y = make(shape, dtype)
    for loss in LOSSES:
        call = TABLE[loss].function
        clean = call(W, X, y, wrt=("X",))[1]
        for row in (0, shape[0] // 2, shape[0] - 1):
            bad = X.copy()
            bad[row, 2] = np.nan
            value, dX = call(W, bad, y, wrt=("X",))
            assert np.isnan(value)
            others = np.arange(shape[0]) != row
            assert_same_bits([dX[others]], [clean[others]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_block_of_nan_alone_reaches_the_gradient(loss, dtype):
    """Blocks whose dscores are all 0 are passed over in dW; NaN is not 0."""
    W, X, y = make((narrow_plan.MAX_BLOCK_ROWS + 1, 5, 3), dtype)
    X[-1] = np.nan
    value, dW = TABLE[loss].function(W, X, y)
    assert np.isnan(value)
    assert np.isnan(dW).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "shape",
    [(1, 4095, 2), (2, 4096, 3), (3, 4097, 12), (4, 8200, 5), (32, 128, 12), (64, 256, 3), (16, 64, 7), (9, 36, 1)],
    ids=str,
)
def test_few_rows(shape, loss, dtype):
    """Features around a chunk and beyond two, and the most rows and classes that go that way."""
    assert fused.way_of(*shape, 8)[0] is short.run
    shape = (shape[0], min(shape[1], 300), shape[2]) if JIT_DISABLED else shape
    check(shape, dtype, loss)


@needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
def test_many_classes_in_several_blocks(dtype):
    shape = (700, 16, 3000)
    assert fused.way_of(*shape, np.dtype(dtype).itemsize)[0] is wide.run
    assert wide_plan.plan(*shape, np.dtype(dtype).itemsize, "direct", ("W",)).n_blocks > 1
    for loss in LOSSES:
        check(shape, dtype, loss)


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_scores_of_many_classes(dtype):
    """Two samples of scores ±1e4 for one class and 0 for the 199 others: log 199 + 1e4, and 0."""
    W = np.zeros((1, 200), dtype)
    W[0, 137] = 1e4
    loss, dW = TABLE["softmax"].function(W, np.array([[1.0], [-1.0]], dtype), [137, 137])
    assert loss == pytest.approx((np.log(199) + 1e4) / 2, rel=1e-7)
    expected = np.full((1, 200), -1 / 199 / 2)
    expected[0, 137] = 0.5
    np.testing.assert_allclose(dW, expected, rtol=1e-5)


@needs_jit
def test_a_million_rows_in_float32():
    """FAULTS, row 13: no further from the truth than NumPy's float32."""
    W, X, y = make((10, 8, 4), "float32")
    X = np.random.default_rng(0).standard_normal((1_000_000, 8)).astype(np.float32) + 1
    y = np.random.default_rng(1).integers(0, 4, len(X))
    truth = TABLE["softmax"].function(W.astype(np.float64), X, y, implementation="numpy")
    ours = TABLE["softmax"].function(W, X, y)
    theirs = TABLE["softmax"].function(W, X, y, implementation="numpy")
    assert abs(ours[0] - truth[0]) <= max(abs(theirs[0] - truth[0]), 1e-7)
    assert np.abs(ours[1] - truth[1]).max() <= np.abs(theirs[1] - truth[1]).max()
