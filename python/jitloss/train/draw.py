"""Learning curves, and for pictures what was learned of them, as a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ..cs231n.vis_utils import visualize_grid
from .fit import Trained

# Pictures shown, and such of them as have room for a name.
_MOST_PICTURES, _MOST_NAMED = 100, 25


def draw(trained: Trained, title: str, picture: tuple[int, int, int] | None, path: Path) -> None:
    """Write the picture; `picture` is the shape (height, width, channels) of a sample, None if it is none."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    n_panels = 2 if picture is None else 3
    figure = pyplot.figure(figsize=(5 * n_panels, 4.6), dpi=100, layout="constrained")
    parts: Any = figure.subfigures(1, n_panels)
    _losses(parts[0].subplots(), trained)
    _accuracies(parts[1].subplots(), trained)
    if picture is not None:
        _weights(parts[2], trained, picture)
    figure.suptitle(title, x=0.015, ha="left", fontsize=14, fontweight="bold")
    figure.savefig(path)
    pyplot.close(figure)


def _losses(panel: Any, trained: Trained) -> None:
    losses = np.array(trained.losses)
    steps = np.arange(1, len(losses) + 1)
    panel.plot(steps, losses, color="#56B4E9", alpha=0.5, linewidth=0.8, label="each batch")
    width = max(1, len(losses) // 50)
    if width > 1:
        smooth = np.convolve(losses, np.ones(width) / width, "valid")
        panel.plot(steps[width - 1 :], smooth, color="#0072B2", linewidth=2, label=f"mean of {width}")
    panel.set(title="Loss", xlabel="step", yscale="log" if len(losses) and losses.min() > 0 else "linear")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False)


def _accuracies(panel: Any, trained: Trained) -> None:
    for name, values, colour in (
        ("training data", trained.training, "#999999"),
        ("held out", trained.validation, "#D55E00"),
    ):
        label = f"{name}: {values[-1]:.1%} at last" if values else name
        panel.plot(trained.epochs, [100 * value for value in values], color=colour, linewidth=2, label=label)
    panel.set(title="Right answers, %", xlabel="step")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False, loc="lower right")


def _weights(part: Any, trained: Trained, picture: tuple[int, int, int]) -> None:
    """The weights of each class, or of each hidden unit, as a picture: bright speaks for it, dark against."""
    of_classes = "W" in trained.parameters
    first = trained.parameters["W" if of_classes else "W1"]
    n_shown = min(first.shape[1], _MOST_PICTURES)
    height, width, n_channels = picture
    planes = first[: height * width * n_channels, :n_shown].T.reshape(n_shown, n_channels, height, width)
    columns = math.ceil(math.sqrt(n_shown))
    panels = part.subplots(-(-n_shown // columns), columns, squeeze=False, gridspec_kw={"wspace": 0.05, "hspace": 0.05})
    for panel in panels.flat:
        panel.set_axis_off()
    for number, (panel, plane) in enumerate(zip(panels.flat, planes.transpose(0, 2, 3, 1), strict=False)):
        shown = visualize_grid(plane[np.newaxis], ubound=1.0)
        panel.imshow(shown[..., 0] if n_channels == 1 else shown, cmap="gray", interpolation="nearest")
        if of_classes and n_shown <= _MOST_NAMED:
            panel.set_title(str(number), fontsize=9, pad=2)
    some = "" if n_shown == first.shape[1] else f", the first {n_shown}"
    part.suptitle(f"Weights of each {'class' if of_classes else 'hidden unit'}{some}")
