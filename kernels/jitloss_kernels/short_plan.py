"""Where everything lies in the scratch of a problem of few rows and few classes."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from . import moves, products, runs
from .memory import RESULTS, Sizes, row_items, whole_lines
from .records import opener
from .shapes import TALLEST, heights, item_name, panel_items

# Features whose products are added up before others are: rounding errors of float32 grow with the length of a sum.
CHUNK = 4096
# For more rows, or scores, than that it pays to pack W, and for rows that are short.
_FEW_ROWS, _MOST_ROWS, _MANY_ROWS, _MOST_SCORES = 16, 32, 64, 192
_FEATURES_A_ROW = 4
# W stays in L2 from one row to the next; where the rows are few it comes from memory as fast as it is used. More of W,
# or of X, would be worth several threads.
_CACHED_BYTES, _MOST_BYTES = 512 << 10, 16 << 20


class Plan(NamedTuple):
    """Sizes, from shapes and dtype alone. Offsets and lengths are in items of the scratch they belong to."""

    n_rows: int
    n_features: int
    n_classes: int
    block_rows: int  # whole strips
    panel: int
    row: int  # classes of a row of `rows_at`, in whole vectors
    rows_at: int  # scores, then dscores, one row a sample; those before have one row a class
    parts_at: int
    weights_at: int  # a panel of W, one row a class
    copy_at: int
    copy_row: int
    want_w: bool
    want_b: bool
    want_x: bool
    run_dot_tile: int  # tables of addresses; see ``native``
    run_outer_tile: int
    outer_tile: int  # what dX alone takes
    transpose_tile: int


opened = opener(Plan)


def fits(n_rows: int, n_features: int, n_classes: int, item_bytes: int) -> bool:
    """Whether a problem has few enough rows and classes to be solved this way."""
    few = n_rows <= _MOST_ROWS or (n_rows <= _MANY_ROWS and n_rows * n_classes <= _MOST_SCORES)
    w_bytes, x_bytes = (n * n_features * item_bytes for n in (n_classes, n_rows))
    small = w_bytes <= (_MOST_BYTES if n_rows <= _FEW_ROWS else _CACHED_BYTES) and x_bytes <= _MOST_BYTES
    return few and small and n_classes <= runs.MOST_COLUMNS and 0 < _FEATURES_A_ROW * n_rows <= n_features


@lru_cache
def plan(n_rows, n_features, n_classes, item_bytes, reading, wrt):
    """The Plan of a problem. `wrt`: the gradients wanted; the `reading` of X changes nothing."""
    panel, item = panel_items(item_bytes), item_name(item_bytes)
    block_rows = -(-n_rows // panel) * panel
    row = whole_lines(n_classes, item_bytes)
    rows_at = n_classes * block_rows + 2 * panel  # after what a row loss needs for a strip
    parts_at = rows_at + n_rows * row
    weights_at = parts_at + runs.parts_items(n_rows, n_classes, item_bytes)
    want_x = "X" in wrt
    return Plan(
        n_rows=n_rows,
        n_features=n_features,
        n_classes=n_classes,
        block_rows=block_rows,
        panel=panel,
        row=row,
        rows_at=rows_at,
        parts_at=parts_at,
        weights_at=weights_at,
        copy_at=weights_at + n_classes * panel,
        copy_row=row_items(n_features, item_bytes),
        want_w="W" in wrt,
        want_b="b" in wrt,
        want_x=want_x,
        run_dot_tile=runs.run_dot.table(item, heights=[n_classes]),
        run_outer_tile=runs.run_outer.table(item, heights=[n_classes] if "W" in wrt else ()),
        outer_tile=products.outer.table(item, heights=heights(n_rows, TALLEST) if want_x else ()),
        transpose_tile=moves.transposing.address(item) if want_x else 0,
    )


def sizes(plan):
    """The memory that a problem needs: also for a copy of X, which is not always made."""
    n_items = plan.copy_at + plan.n_rows * plan.copy_row
    return Sizes(n_items, 0, RESULTS + 4 * plan.panel + plan.n_classes, 0)


def n_counts(plan):
    """Nothing is shared, so there is nothing to count."""
    return 1


def most_threads(plan):
    """What takes so little time is not worth a second one."""
    return 1
