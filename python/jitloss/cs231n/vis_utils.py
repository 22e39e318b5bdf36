"""Many pictures side by side."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np


def visualize_grid(Xs: np.ndarray, ubound: float = 255.0, padding: int = 1) -> np.ndarray:
    """Pictures in a square grid, each stretched to the range 0 … ubound.

    Parameters
    ----------
    Xs : (N, H, W, C) pictures.
    ubound : largest value of the result.
    padding : black pixels between pictures.

    Returns
    -------
    (rows, columns, C) array
        A picture whose values are all the same becomes 0.
    """
    n_pictures, height, width, n_channels = Xs.shape
    side = ceil(sqrt(n_pictures))
    step_down, step_right = height + padding, width + padding
    grid = np.zeros((max(side * step_down - padding, 0), max(side * step_right - padding, 0), n_channels))
    for number, picture in enumerate(np.asarray(Xs, float)):
        top, left = number // side * step_down, number % side * step_right
        low, high = picture.min(), picture.max()
        stretched = ubound * (picture - low) / (high - low) if high > low else np.zeros_like(picture)
        grid[top : top + height, left : left + width] = stretched
    return grid
