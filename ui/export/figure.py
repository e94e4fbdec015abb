"""A figure of a run as a matplotlib figure, which can be changed before `figure_files.written` makes a file of it; and
which figures there are. matplotlib is loaded when one is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crop_core.records.formatting import truncated_repr
from ui.export import image as photo
from ui.export.metadata import caption, facts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison
    from crop_core.records.trace import TokenTrace
    from ui.export.page_layout import RunFigure

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
    "alive": FigureKind("Alive curve", ("alive_curve:alive",)),
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
    run = ShownRun(photo.pixels(images[options.image - 1]), trace, result, options.at(trace.layers))
    places = FIGURES[options.name].drawers
    names = [place.split(":")[1] for place in places]
    layer = {"layer": str(run.layer)} if "pruning" in names else {}
    image = {"image": f"{options.image} of {len(result.crop.traces)}"} if len(result.regions) > 1 else {}
    told = {"picture": ", ".join(names), **image, **layer, **facts(result)}
    below = caption(result, options.image) if options.captioned else ""
    return lay_out([drawer(place)(run) for place in places], options.width, result.question, told, below)
