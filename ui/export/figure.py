"""A figure of a run as a matplotlib figure, which can be changed before `figure_files.written` makes a file of it; and
which figures there are. matplotlib is loaded when one is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from crop_core.records.formatting import truncated_repr
from ui.export.report import caption, facts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison
    from crop_core.records.trace import TokenTrace
    from ui.export.page_layout import RunFigure

MAX_PIXELS_A_SIDE = 1400  # pixels of the longer side: 6 cm at 600 dpi
LOW, HIGH = 3.0, 40.0  # centimetres


class FigureError(ValueError):
    """A figure that cannot be drawn; the message is one sentence."""


@dataclass(frozen=True)
class FigureKind:
    """A row of FIGURES. label: in the interface. drawers: "module:function" of its panels from left to right, each
    a function of a `ShownRun` that returns a `page_layout.Panel`.
    """

    label: str
    drawers: tuple[str, ...]


PARTS = ("trace_panels:region", "trace_panels:compression", "trace_panels:pruning")
FIGURES = {  # a new figure is a file beside this one, and a row here
    "row": FigureKind("All three in a row", PARTS),
    "region": FigureKind("Region", PARTS[:1]),
    "compression": FigureKind("Compression", PARTS[1:2]),
    "pruning": FigureKind("Pruning at a layer", PARTS[2:]),
    "alive": FigureKind("Alive curve", ("curves:alive",)),
    "times": FigureKind("Where the time goes", ("time_bars:times",)),
}


@dataclass(frozen=True, eq=False)
class ShownRun:
    """What a panel draws: a photo (H, W, 3) that was asked about, its trace, the whole result, and a layer."""

    pixels: NDArray[np.uint8]
    trace: TokenTrace
    result: Comparison
    layer: int


@dataclass(frozen=True)
class FigureOptions:
    """name: one of FIGURES. width: centimetres. layer: of the pruning figure, None for the last one.

    captioned: whether a caption stands under it. image: which of the images asked about, from 1. Raises FigureError
    for what cannot be.
    """

    name: str = "row"
    width: float = 17.5
    layer: int | None = None
    captioned: bool = False
    image: int = 1

    def __post_init__(self) -> None:
        if self.name not in FIGURES:
            raise FigureError(f"The figure {truncated_repr(self.name)} is not known; choose {', '.join(FIGURES)}.")
        check_width(self.width)

    def at(self, layers: int) -> int:
        """The layer that is shown; FigureError for one that the model lacks."""
        layer = layers - 1 if self.layer is None else self.layer
        if not 0 <= layer < layers:
            raise FigureError(
                f"There is no layer {truncated_repr(layer)}; give one from 0 to {layers - 1}, or none for the last."
            )
        return layer

    def of(self, traces: Sequence[TokenTrace]) -> TokenTrace:
        """The trace that is shown; FigureError for an image that was not asked about."""
        if not 1 <= self.image <= len(traces):
            raise FigureError(
                f"There is no image {truncated_repr(self.image)}; the run is about {len(traces)}, counted from 1."
            )
        return traces[self.image - 1]


def check_width(width: float) -> None:
    """FigureError for centimetres that no figure can have."""
    if not LOW <= width <= HIGH:
        raise FigureError(f"A figure of {width:g} cm cannot be drawn; give a width from {LOW:g} to {HIGH:g} cm.")


def drawer(place: str) -> Callable[..., Any]:
    """The function at "module:function" of this package."""
    module, name = place.split(":")
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), name)
    return found


def figure(images: Sequence[Image.Image], result: Comparison, options: FigureOptions) -> RunFigure:
    """The figure of one run, about one of its images. images: those that were asked about, in any size.

    Returns a `matplotlib.figure.Figure` with its facts. Raises FigureError for options that do not fit the run.
    """
    from ui.export.page_layout import lay_out

    trace = options.of(result.crop.traces)
    run = ShownRun(pixels(images[options.image - 1]), trace, result, options.at(trace.layers))
    places = FIGURES[options.name].drawers
    names = [place.split(":")[1] for place in places]
    layer = {"layer": str(run.layer)} if "pruning" in names else {}
    image = {"image": f"{options.image} of {len(result.crop.traces)}"} if len(result.regions) > 1 else {}
    told = {"picture": ", ".join(names), **image, **layer, **facts(result)}
    below = caption(result, options.image) if options.captioned else ""
    return lay_out([drawer(place)(run) for place in places], options.width, result.question, told, below)


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, at most MAX_PIXELS_A_SIDE pixels a side."""
    return smaller(np.asarray(image.convert("RGB")), MAX_PIXELS_A_SIDE)


def smaller(found: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    """The same image (H, W, 3) with at most so many pixels a side."""
    scale = most / max(found.shape[:2])
    if scale >= 1:
        return found
    size = tuple(max(1, round(side * scale)) for side in found.shape[1::-1])
    return np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def greyed(image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A copy without colour in boxes (K, 4), which are shares (0..1) of its width and height."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    result = image.copy()
    shares = np.clip(boxes, 0, 1) * [width, height, width, height]
    for left, top, right, bottom in np.round(shares).astype(int):
        result[top:bottom, left:right] = grey[top:bottom, left:right]
    return result
