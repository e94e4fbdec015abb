"""A figure from a run: one of its pictures, or three in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from crop_core.units import repeated
from ui import words
from ui.publish import bars, curve, panels, photo
from ui.publish.facts import caption, facts
from ui.publish.panels import Canvas, Panel
from ui.publish.shapes import Drawing
from ui.publish.sheet import Column, Drawn, FigureError, check_width, sheet

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records import Comparison
    from crop_core.trace import TokenTrace

PICTURES = {
    "row": "All three in a row",
    "region": "Region",
    "compression": "Compression",
    "pruning": "Pruning at a layer",
    "alive": "Alive curve",
    "times": "Where the time goes",
}


@dataclass(frozen=True)
class Wanted:
    """picture: one of PICTURES. width: centimetres. layer: of the pruning picture, None for the last one.

    captioned: whether a caption stands under it. image: which of the images asked about, from 1. Raises FigureError
    for what cannot be.
    """

    picture: str = "row"
    width: float = 17.5
    layer: int | None = None
    captioned: bool = False
    image: int = 1

    def __post_init__(self) -> None:
        if self.picture not in PICTURES:
            raise FigureError(f"The picture {repeated(self.picture)} is not known; choose {', '.join(PICTURES)}.")
        check_width(self.width)

    def at(self, layers: int) -> int:
        """The layer that is shown; FigureError for one that the model lacks."""
        layer = layers - 1 if self.layer is None else self.layer
        if not 0 <= layer < layers:
            raise FigureError(
                f"There is no layer {repeated(layer)}; give one from 0 to {layers - 1}, or none for the last."
            )
        return layer

    def of(self, traces: Sequence[TokenTrace]) -> TokenTrace:
        """The trace that is shown; FigureError for an image that was not asked about."""
        if not 1 <= self.image <= len(traces):
            raise FigureError(
                f"There is no image {repeated(self.image)}; the run is about {len(traces)}, counted from 1."
            )
        return traces[self.image - 1]


def figure(images: Sequence[Image.Image], result: Comparison, wanted: Wanted) -> Drawing:
    """The drawing of one run, about one of its images. images: those that were asked about, in any size."""
    trace = wanted.of(result.crop.traces)
    image = images[wanted.image - 1]
    names = ("region", "compression", "pruning") if wanted.picture == "row" else (wanted.picture,)
    columns = [_column(name, image, trace, result, wanted.at(trace.layers)) for name in names]
    below = caption(result, wanted.image) if wanted.captioned else ""
    return sheet(columns, wanted.width, result.question, _facts(result, wanted, names), below)


def _facts(result: Comparison, wanted: Wanted, names: tuple[str, ...]) -> dict[str, str]:
    layer = {"layer": str(wanted.at(result.crop.trace.layers))} if "pruning" in names else {}
    image = {"image": f"{wanted.image} of {len(result.crop.traces)}"} if len(result.regions) > 1 else {}
    return {"picture": ", ".join(names), **image, **layer, **facts(result)}


def _column(name: str, image: Image.Image, trace: TokenTrace, result: Comparison, layer: int) -> Column:
    """One picture with its title."""

    def on_photo(draw: Callable[[Canvas], Panel], x: float, y: float, room: float) -> Drawn:
        canvas = Canvas(trace, photo.pixels(image), x, y, room)
        return *draw(canvas), canvas.height

    def alive(x: float, y: float, room: float) -> Drawn:
        height = max(90.0, 0.5 * room)
        return *curve.alive(trace, words.method_name(result.method), x, y, room, height), height

    tokens, last = f"{trace.visual_tokens} to {trace.input_tokens} tokens", trace.layers - 1
    columns = {
        "region": Column("Region", partial(on_photo, panels.region)),
        "compression": Column(f"Compression: {tokens}", partial(on_photo, panels.compression)),
        "pruning": Column(
            f"Pruning: layer {layer} (of 0–{last})", partial(on_photo, partial(panels.pruning, layer=layer))
        ),
        "alive": Column("Visual tokens in each layer", alive),
        "times": Column("Where the time goes", partial(bars.times, result)),
    }
    return columns[name]
