"""How a problem of few classes is cut into lanes, blocks, chunks and groups, and where in the scratch they all lie."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from . import differences, exchanges, moves, products
from .blocks import COPIED, DIRECT
from .counts import COUNTS
from .memory import RESULTS, SHORT, Sizes, row_items, whole_lines
from .pivots import columns_of
from .records import opener
from .rows import SCORE_FLOPS
from .shapes import TALLEST, even_height, heights, item_name, panel_items, vector_items
from .stealing import COUNTS_OF_LANE, DB

CHOOSE, PACK, LANES, FOLD, ADD, N_STAGES = range(6)
# Where the counts of the lanes begin, and after them those of the pairs: after the stages', and who takes part.
LANE_COUNTS = COUNTS * (N_STAGES + 1)
# A lane is worth its fold from about this many flops on.
_LANE_FLOPS = 1 << 19
_LEAST_BLOCK_ROWS, MAX_BLOCK_ROWS = 16, 64
# A gradient larger than this leaves L2 between two blocks, and takes longer to fold: lanes have more rows then.
LARGE_BYTES, LARGE_LANE_ROWS = 256 << 10, 128
_MAX_LANES = 32
# So much of W, and for each class, stays in an L1 of 32 KB while all rows of a block meet it.
_CHUNK_BYTES, _CHUNK_ROW_BYTES = 20 << 10, 2304
# Where each group of classes needs all of X again, a block passes through L2 in segments of features.
_SEGMENT_BYTES = 384 << 10
# Features that one task packs or folds.
TASK_FEATURES = 256


class Cut(NamedTuple):
    """How a problem is cut into lanes and blocks."""

    # The block at hand, the next one, W and dW (of ``LARGE_BYTES``) fit together into an L2 cache of 1 MB: what is
    # fetched ahead of its use must not be pushed out again. But fewer than 16 rows are not worth what is done for each
    # block.
    block_bytes: int = 256 << 10
    lane_rows: int = 64
    large_lane_rows: int = LARGE_LANE_ROWS
    lanes_bytes: int = 32 << 20  # all gradients together stay below that,
    few_lanes: int = 1  # but for so many
    most_slots: int = 8  # so many blocks of a lane may be stolen; see ``stealing``
    may_pivot: bool = True  # what follows are losses that know differences of scores alone; see ``pivots``


class Plan(NamedTuple):
    """Sizes, from shapes and dtype alone. Offsets and lengths are in items of the scratch they belong to."""

    n_rows: int
    n_features: int
    n_classes: int
    n_columns: int  # that are multiplied: one a class, or one less; see ``pivots``
    n_lanes: int  # a power of two
    joined: int  # lanes that are added up before all are: 2, if there are enough for a thread to have two; or 1
    block_rows: int
    chunk: int  # features of a step of the score stage
    segment: int  # features of all groups of classes, before others are looked at
    group: int  # classes of a tile, all groups about the same
    panel: int  # columns of a tile
    width: int  # features in whole panels: W and dW have so many for each class
    copy_row: int  # length of a row of a copied block
    lane_items: int  # scratch of one lane: scores, copied block, dW in panels
    parts_at: int  # vectors of scores between two chunks
    copy_at: int
    gradient_at: int
    n_slots: int  # blocks that may be stolen; see ``stealing``
    slot_items: int  # scratch of one: its dscores
    slot_sums: int  # and float64 sums
    slots_at: int
    steals_at: int  # where the counts of blocks and slots begin, after those of lanes, their pairs and ranges
    pivot_at: int  # the number of the pivot, and what it takes to find it
    first_stage: int  # that is shared: LANES where everybody packs W alone
    weights_at: int  # scratch after that of the lanes: W in panels
    weights_items: int  # from there to W of the next who packs alone; 0: one for all
    lane_sums: int  # float64 scratch of one lane: totals; loss and db, its own and those of the slots; after RESULTS
    squares_at: int  # float64 scratch of the ranges of features: their sums of W²
    n_ranges: int  # of features
    fetches: bool  # each product half of the next block; one that is copied comes by itself, row after row
    want_w: bool
    want_b: bool
    want_x: bool
    dot_tile: int  # addresses of what is compiled, or of tables of them; see ``native``
    converting_tile: int  # 0 where nothing is converted
    outer_tile: int
    transpose_tile: int
    pivot_tile: int  # these are 0 where all classes are multiplied, that before them where not
    difference_tile: int
    completion_tile: int
    exchange_tile: int
    inputs_code: int  # the address of ``narrow_block.inputs``, for who wants dX; else 0


opened = opener(Plan)


def lane_count(n_rows, n_features, n_classes, item_bytes, cut=Cut()):  # noqa: B008  (a tuple of numbers)
    """How many lanes a problem is cut into; from its shape and dtype alone."""
    by_work = n_rows * n_classes * (4 * n_features + SCORE_FLOPS) // _LANE_FLOPS
    gradient_bytes = item_bytes * n_features * n_classes
    by_rows = n_rows // (cut.lane_rows if gradient_bytes <= LARGE_BYTES else cut.large_lane_rows)
    by_memory = max(cut.lanes_bytes // gradient_bytes, cut.few_lanes)
    most = max(1, min(by_work, by_rows, by_memory, _MAX_LANES))
    return 1 << (most.bit_length() - 1)  # a power of two shares out evenly among 2, 4, 8 … threads


@lru_cache
def plan(n_rows, n_features, n_classes, item_bytes, reading, wrt, cut=Cut(), inputs_code=0):  # noqa: B008
    """The Plan of a problem. `reading`: see ``blocks.reading_of``; `wrt`: the gradients wanted."""
    n_lanes = lane_count(n_rows, n_features, n_classes, item_bytes, cut)
    panel = panel_items(item_bytes)
    width = -(-n_features // panel) * panel
    copy_row = row_items(n_features, item_bytes)
    fitting = cut.block_bytes // ((width + n_classes) * item_bytes)  # whatever the `reading`: all have the same sums
    block_rows = min(max(fitting // panel * panel, panel, _LEAST_BLOCK_ROWS), MAX_BLOCK_ROWS)
    n_columns = columns_of(n_rows, n_classes, item_bytes) if cut.may_pivot else n_classes
    group = even_height(n_columns)
    n_chunks = max(1, -(-n_features * item_bytes // min(_CHUNK_BYTES // group, _CHUNK_ROW_BYTES)))
    chunk = -(-n_features // n_chunks // panel) * panel
    n_segment_chunks = max(1, _SEGMENT_BYTES // (block_rows * chunk * item_bytes))
    parts_at = n_classes * block_rows + 2 * panel  # after the scores, and what a row loss needs for a strip
    copy_at = parts_at + (block_rows * group * vector_items(item_bytes) if n_chunks > 1 else 0)
    gradient_at = copy_at + (block_rows * copy_row if reading != DIRECT else 0)
    want_w, want_x = "W" in wrt, "X" in wrt
    converts = reading not in (DIRECT, COPIED)
    item = item_name(item_bytes)
    first_height, *others = of_classes = heights(n_columns, group)
    of_rows = range(1, TALLEST + 1) if want_x else ()
    has_pivot = n_columns < n_classes
    # Together they take a fourth of what the gradient does; where blocks are copied, the owner has to copy them anyhow.
    n_slots = min(cut.most_slots, n_features // (4 * block_rows)) if n_lanes > 1 and reading == DIRECT else 0
    n_ranges = -(-n_features // TASK_FEATURES)
    slot_items = whole_lines(n_classes * block_rows, item_bytes)
    slots_at = whole_lines(gradient_at + (n_columns * width if want_w else 0), item_bytes)
    lane_sums = whole_lines(4 * panel + (1 + n_slots) * (DB + n_classes), 8)
    lane_items = slots_at + n_slots * slot_items
    pivot_at = n_lanes * lane_items
    weights_at = pivot_at + (whole_lines(1 + differences.peak_items(item_bytes), item_bytes) if has_pivot else 0)
    weights_bytes, lane_bytes = (n * item_bytes for n in (n_columns * width, lane_items))
    # Where W stays in L2 beside a lane, and the scratch of as many threads as find a lane is kept for the next call.
    packs_alone = n_lanes > 1 and weights_bytes <= LARGE_BYTES and n_lanes * (lane_bytes + weights_bytes) <= SHORT
    return Plan(
        n_rows=n_rows,
        n_features=n_features,
        n_classes=n_classes,
        n_columns=n_columns,
        n_lanes=n_lanes,
        joined=2 if n_lanes > 2 else 1,
        block_rows=block_rows,
        chunk=chunk,
        segment=min(chunk * n_segment_chunks, width) if n_columns > group else width,
        group=group,
        panel=panel,
        width=width,
        copy_row=copy_row,
        lane_items=lane_items,
        parts_at=parts_at,
        copy_at=copy_at,
        gradient_at=gradient_at,
        n_slots=n_slots,
        slot_items=slot_items,
        slot_sums=DB + n_classes,
        slots_at=slots_at,
        steals_at=LANE_COUNTS + n_lanes + n_lanes // 2 + n_ranges,
        pivot_at=pivot_at,
        first_stage=LANES if packs_alone else CHOOSE if has_pivot else PACK,
        weights_at=weights_at,
        weights_items=n_columns * width if packs_alone else 0,
        lane_sums=lane_sums,
        squares_at=RESULTS + n_lanes * lane_sums,
        n_ranges=n_ranges,
        fetches=reading == DIRECT,
        want_w=want_w,
        want_b="b" in wrt,
        want_x=want_x,
        dot_tile=products.dot.table(item, heights=others if converts else of_classes),
        converting_tile=products.converting_dot.table(reading, item, heights=[first_height]) if converts else 0,
        outer_tile=products.outer.table(item, heights=[*(of_classes if want_w else ()), *of_rows]),
        transpose_tile=0 if has_pivot else moves.transposing.address(item),
        pivot_tile=differences.choosing.address(item) if has_pivot else 0,
        difference_tile=differences.subtracting.address(item) if has_pivot else 0,
        completion_tile=differences.completing.address(item) if has_pivot else 0,
        exchange_tile=exchanges.exchanging.address(item) if has_pivot else 0,
        inputs_code=inputs_code,
    )


def sizes(plan):
    """The memory that a problem needs."""
    shared = 0 if plan.weights_items > 0 else plan.n_columns * plan.width
    return Sizes(plan.weights_at + shared, plan.weights_items, plan.squares_at + plan.n_ranges, 0)


def n_counts(plan):
    """How much there is to count."""
    return plan.steals_at + plan.n_lanes * (COUNTS_OF_LANE + plan.n_slots)


def most_threads(plan):
    """How many threads have something to do."""
    return plan.n_lanes if plan.n_lanes > 1 or plan.n_rows > TALLEST else plan.n_ranges
