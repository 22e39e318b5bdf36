"""How a problem of many classes is cut into blocks, groups and tasks, and where in the scratch everything lies."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from . import moves, products
from .blocks import DIRECT
from .counts import COUNTS, SHARES
from .memory import RESULTS, Sizes, row_items, whole_lines
from .records import opener
from .shapes import TALLEST, item_name, panel_items

COPY, SCORES, ROWS, GRADIENTS, N_STAGES = range(5)
# Scores of a block: more rows a block mean that W and dW are walked through less often. Never above _MOST_BYTES.
_SCORES_BYTES = 4 << 20
_MOST_BYTES = 32 << 20
_LEAST_ROWS, _MOST_ROWS = 256, 1024
# A packed chunk of W, so many features of a group of classes, stays in L2; a tile's rows of it in L1. Rounding errors
# of float32 grow with the length of a sum: more than so many features are added up in shorter ones.
_CHUNK_BYTES = 2048
_MANY_FEATURES, _SHORT_CHUNK = 1024, 192
_GROUP_PANELS = 1, 4
# With few rows nothing is reused and nothing packed: W is read as it lies, in runs as long as a page. Where all classes
# are one panel, or W stays in L2 anyhow, that pays for more rows.
_FEW_ROWS, _FEW_ROWS_OF_LITTLE, _LITTLE_BYTES = 20, 40, 256 << 10
_FEW_ROWS_CHUNK_BYTES, _FEW_ROWS_CHUNK, _FEW_ROWS_PANELS = 16 << 10, 32, (4, 32)
_SMALL_PRODUCTS = 1 << 18
TASK_ROWS = 16
_PART_TILES = 8
_MANY_TASKS, _MANY_GROUPS = 16, 8
TASK_FEATURES = 256


class Plan(NamedTuple):
    """Sizes, from shapes and dtype alone. Offsets and lengths are in items of the scratch they belong to."""

    n_rows: int
    n_features: int
    n_classes: int
    block_rows: int
    n_blocks: int
    n_stages: int  # those of each block, and the end in two
    panel: int  # classes side by side
    panel_step: int  # from panel to panel of S
    n_panels: int
    group: int  # classes that a task packs, scores or differentiates
    n_groups: int
    chunk: int  # features packed at a time
    part_rows: int  # rows that a task scores
    part_features: int  # features and classes that a task differentiates
    part_classes: int
    packs: bool
    width: int  # length of a row of a copied block
    copy_at: int
    member_at: int  # scratch of one thread: packed W, and what a row loss needs
    member_items: int
    strip_at: int
    sums_db: int  # float64 scratch: losses, then db, squares, and totals for each thread
    sums_squares: int
    sums_totals: int
    want_w: bool
    want_b: bool
    want_x: bool
    outer_tile: int  # addresses of what is compiled; see ``native``
    copy_tile: int


opened = opener(Plan)


@lru_cache
def plan(n_rows, n_features, n_classes, item_bytes, reading, wrt):
    """The Plan of a problem. `reading`: see ``blocks.reading_of``; `wrt`: the gradients wanted."""
    panel, row_bytes = panel_items(item_bytes), n_classes * item_bytes
    fitting = min(max(_SCORES_BYTES // row_bytes, _LEAST_ROWS), max(_MOST_BYTES // row_bytes, TASK_ROWS), _MOST_ROWS)
    n_blocks = max(1, -(-n_rows // fitting))
    block_rows = max(1, -(-n_rows // n_blocks))
    n_panels = -(-n_classes // panel)
    is_little = n_panels == 1 or n_features * row_bytes <= _LITTLE_BYTES
    few = n_rows <= (_FEW_ROWS_OF_LITTLE if is_little else _FEW_ROWS)
    least, most = _FEW_ROWS_PANELS if few else _GROUP_PANELS
    if few and n_rows * n_features * n_classes <= _SMALL_PRODUCTS:  # one task for one thread
        least = most
    group = min(max(-(-n_panels // _MANY_GROUPS), least), most) * panel
    n_groups = -(-n_classes // group)
    chunk = _CHUNK_BYTES // item_bytes
    if few:
        chunk = max(_FEW_ROWS_CHUNK_BYTES // (min(group, n_classes) * item_bytes), _FEW_ROWS_CHUNK)
    chunk = min(chunk, _SHORT_CHUNK) if n_features > _MANY_FEATURES else chunk
    # Two threads may score the same classes for two halves of the rows, if nobody packs.
    least_rows = min(TALLEST, max(block_rows // 2, TALLEST // 2)) if few else 8 * TALLEST
    width = row_items(n_features, item_bytes)
    panel_step = block_rows * panel + whole_lines(1, item_bytes)
    copy_at = whole_lines(n_panels * panel_step, item_bytes)
    part_features = min(_PART_TILES * TALLEST, n_features)
    class_parts = min(n_groups, max(1, -(-_MANY_TASKS // -(-n_features // part_features))))
    strip_at = max((panel if few else max(panel, chunk)) * group, block_rows * part_features)
    sums_db = RESULTS + n_blocks * -(-block_rows // TASK_ROWS)
    sums_squares = sums_db + n_panels * panel
    item = item_name(item_bytes)
    return Plan(
        n_rows=n_rows,
        n_features=n_features,
        n_classes=n_classes,
        block_rows=block_rows,
        n_blocks=n_blocks,
        n_stages=n_blocks * N_STAGES + 2,
        panel=panel,
        panel_step=panel_step,
        n_panels=n_panels,
        group=group,
        n_groups=n_groups,
        chunk=chunk,
        part_rows=_share(block_rows, n_groups, 12, least_rows),
        part_features=part_features,
        part_classes=-(-n_groups // class_parts) * group,
        packs=not few,
        width=width,
        copy_at=copy_at,
        member_at=copy_at + (block_rows * width if reading != DIRECT else 0),
        member_items=whole_lines(strip_at + 2 * panel, item_bytes),
        strip_at=strip_at,
        sums_db=sums_db,
        sums_squares=sums_squares,
        sums_totals=sums_squares + -(-n_features // TASK_FEATURES),
        want_w="W" in wrt,
        want_b="b" in wrt,
        want_x="X" in wrt,
        outer_tile=products.outer.table(item, heights=range(1, TALLEST + 1)),
        copy_tile=moves.copying.address(item),
    )


def _share(n, n_groups, n_tasks, least):
    """How many of `n` go to a task so that there are about `n_tasks`, none of them too small."""
    parts = max(1, min(n_tasks // n_groups, n // least))
    return -(-n // parts)


def sizes(plan):
    """The memory that a problem needs; some of it for each thread."""
    return Sizes(plan.member_at, plan.member_items, plan.sums_totals, 4 * plan.panel)


def n_counts(plan):
    """How much there is to count: tasks of the stages, who takes part, and the tasks once more, share by share."""
    return COUNTS * (plan.n_stages + 1) + SHARES * plan.n_stages


def most_threads(plan):
    """How many threads have something to do: as many as there are scores or gradients to be made at a time."""
    feature_parts, class_parts = (
        -(-n // size) for n, size in ((plan.n_features, plan.part_features), (plan.n_classes, plan.part_classes))
    )
    return max(plan.n_groups * -(-plan.block_rows // plan.part_rows), feature_parts * class_parts)
