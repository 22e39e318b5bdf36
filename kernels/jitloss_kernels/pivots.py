"""One class less to multiply: scores relative to those of a *pivot* class.

Every loss of ``rows`` depends on the differences between the scores of a sample alone, so its dscores add up to 0 over
the classes. Where the products are most of the work, a class is left out of them, the pivot p::

    s_j = x · (W_j − W_p) + b_j    and s_p = b_p
    dW_p = −Σ dW_j over j ≠ p      and dX = Σ dscores_j (W_j − W_p)

As the pivot serves the class whose largest weight is the smallest: |W_j − W_p| is then at most twice the largest of
|W_j|, so errors stay of the size that rounding |x| |W_j| has, in norms. The products work on *columns*: column j is
class j, but column p, which is the last class. Where no class is left out, columns are classes.

Scores that are infinite or NaN, or so far from the pivot's that digits of others are lost (features of very different
scales can have that), turn the pivot's into NaN, that the loss, and ``fused`` does it all over without a pivot.
"""

from __future__ import annotations

import numpy as np

from .differences import pivot_tile
from .exchanges import exchange_tile
from .jit import helper
from .shapes import TALLEST

# float64 alone, since rounding errors grow a little. With fewer classes the products wait for X, not for arithmetic;
# with fewer rows it takes longer to look for a pivot than to multiply a class.
_FEWEST_ROWS, _FEWEST_CLASSES = 64, 6


def columns_of(n_rows, n_classes, item_bytes):
    """How many columns are multiplied: as many as classes, or one less, if that is one tile."""
    pays = item_bytes == 8 and n_rows >= _FEWEST_ROWS and _FEWEST_CLASSES <= n_classes <= TALLEST + 1
    return n_classes - 1 if pays else n_classes


@helper
def choose(plan, W, scratch):
    """Find the pivot, if there is one, and leave its number at ``pivot_at``."""
    if plan.n_columns < plan.n_classes:
        pivot_tile(plan.pivot_tile, W, 0, plan.n_features, plan.n_classes, scratch, plan.pivot_at)


@helper
def pivot_of(plan, scratch):
    """The pivot, once it has been chosen; some class in a call that is interrupted before, whose results are lost."""
    pivot = np.int64(scratch[plan.pivot_at])
    return pivot if 0 <= pivot <= plan.n_columns else 0


@helper
def exchange(plan, scratch, s0, n_marking):
    """From one row a column to one a class, or back, of what a block has; see ``exchange_tile``."""
    if plan.n_columns < plan.n_classes:
        pivot = pivot_of(plan, scratch)
        exchange_tile(plan.exchange_tile, scratch, s0, plan.block_rows, plan.n_columns, pivot, n_marking)
