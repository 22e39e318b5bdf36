"""Where the two layers of a net lie in the scratch, and how its rows are cut."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from . import moves, narrow_plan, products, sparse
from .memory import RESULTS, whole_lines
from .records import opener
from .shapes import even_height, heights, item_name
from .stealing import DB

# W1 and dW1 are large: a block has more rows than fit into L2, so that they are walked through less often.
_CUT = narrow_plan.Cut(
    block_bytes=1600 << 10, large_lane_rows=64, lanes_bytes=8 << 20, few_lanes=4, most_slots=0, may_pivot=False
)


# A slab of X is copied for all units: fewer are not worth it.
_WORTH_UNITS = 32


class Plan(NamedTuple):
    """Sizes and offsets, in items of the scratch they belong to; of a lane's scratch from its beginning on."""

    first: narrow_plan.Plan  # of the first layer
    n_outputs: int
    scores_at: int  # n_outputs rows of a block; then what a row loss needs for a strip
    packed_at: int  # dscores in panels of samples
    slopes_at: int  # dhidden of a tile of units
    gradient_at: int  # dW2
    slab_at: int  # some features of a block of X, row after row; see ``sparse``
    slab: int  # how many features; 0: what units that are off would add to dW1 is not skipped
    marks_at: int  # in a lane's sums: for which rows of a block each unit is on
    gate_tile: int  # addresses of what is compiled, or of tables of them
    copy_tile: int  # these are 0 where nothing is skipped
    sparse_tile: int
    group: int  # outputs of a tile
    trains: bool  # else the scores are all that is wanted


opened = opener(Plan)


@lru_cache
def plan(n_rows, n_features, n_hidden, n_outputs, item_bytes, reading, trains):
    """The Plan of a net and a number of rows."""
    wrt = ("W", "b") if trains else ()
    # What a lane needs for the second layer: fewer lanes where that is much.
    more = n_outputs * (n_hidden + 2 * narrow_plan.MAX_BLOCK_ROWS) / (n_features * n_hidden)
    cut = _CUT._replace(lanes_bytes=int(_CUT.lanes_bytes / (1 + more)), few_lanes=_CUT.few_lanes if more < 8 else 2)
    first = narrow_plan.plan(n_rows, n_features, n_hidden, item_bytes, reading, wrt, cut)
    scores_at = first.lane_items
    packed_at = scores_at + whole_lines(n_outputs * first.block_rows + 2 * first.panel, item_bytes)
    slopes_at = packed_at + (n_outputs * first.block_rows if trains else 0)
    gradient_at = slopes_at + (first.group * first.block_rows if trains else 0)
    slab_at = whole_lines(gradient_at + (n_hidden * n_outputs if trains else 0), item_bytes)
    skips = trains and n_hidden >= _WORTH_UNITS
    slab = min(sparse.widest() * first.panel, first.width) if skips else 0
    lane_items = slab_at + slab * first.block_rows
    marks_at = 4 * first.panel + DB + n_hidden + n_outputs
    lane_sums = whole_lines(marks_at + n_hidden, 8)
    group = even_height(n_outputs)
    item = item_name(item_bytes)
    # The second layer has other heights; they go to the same tables.
    products.dot.table(item, heights=heights(n_outputs, group) if trains else ())
    products.outer.table(item, heights=heights(n_outputs, group))
    return Plan(
        first=first._replace(
            lane_items=lane_items,
            weights_at=first.n_lanes * lane_items,
            lane_sums=lane_sums,
            squares_at=RESULTS + first.n_lanes * lane_sums,
        ),
        n_outputs=n_outputs,
        scores_at=scores_at,
        packed_at=packed_at,
        slopes_at=slopes_at,
        gradient_at=gradient_at,
        slab_at=slab_at,
        slab=slab,
        marks_at=marks_at,
        gate_tile=sparse.gate.address(item) if trains else 0,
        copy_tile=moves.copying.address(item) if skips else 0,
        sparse_tile=sparse.sparse_outer.table(item, heights=_slabs(first)) if skips else 0,
        group=group,
        trains=trains,
    )


def _slabs(first):
    """How many panels the slabs of a block have, in a whole segment of features and in the last."""
    n_panels, last = (n // first.panel for n in (first.segment, first.width % first.segment))
    return [*heights(n_panels, sparse.widest()), *heights(last, sparse.widest())]
