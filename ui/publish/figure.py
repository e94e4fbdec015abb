"""A figure from a run: one picture, or three in a row, with titles, legends and, if wanted, a caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crop_core.units import repeated
from ui import words
from ui.publish import curve, fonts, panels, photo
from ui.publish.facts import caption, facts
from ui.publish.panels import Canvas, Key, Panel
from ui.publish.shapes import Area, Drawing, Lines, Shape, Words, frame_lines, hatch

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
}
CM = 72 / 2.54  # points
MARGIN, GAP = 4.0, 9.0  # points
TITLE, SMALL = 8.0, 7.0  # points, whatever the figure's width
LINE = 9.5  # points from a line of small text to the next
SWATCH = 7.0  # points
LOW, HIGH = 3.0, 40.0  # centimetres


class FigureError(ValueError):
    """A figure that cannot be drawn; the message is one sentence."""


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
        if not LOW <= self.width <= HIGH:
            raise FigureError(
                f"A figure of {self.width:g} cm cannot be drawn; give a width from {LOW:g} to {HIGH:g} cm."
            )

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
    width = wanted.width * CM
    room = (width - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
    shapes: list[Shape] = []
    bottom = 0.0
    for place, name in enumerate(names):
        added, low = _column(image, trace, result.method, wanted, name, MARGIN + place * (room + GAP), room)
        shapes += added
        bottom = max(bottom, low)
    if wanted.captioned:
        for line in fonts.lines(caption(result, wanted.image), width - 2 * MARGIN, SMALL):
            bottom += LINE
            shapes.append(Words(MARGIN, bottom, line, SMALL))
    return Drawing(width, bottom + MARGIN, shapes, result.question, _facts(result, wanted, names))


def _facts(result: Comparison, wanted: Wanted, names: tuple[str, ...]) -> dict[str, str]:
    layer = {"layer": str(wanted.at(result.crop.trace.layers))} if "pruning" in names else {}
    image = {"image": f"{wanted.image} of {len(result.crop.traces)}"} if result.crop.others else {}
    return {"picture": ", ".join(names), **image, **layer, **facts(result)}


def _column(
    image: Image.Image, trace: TokenTrace, method: str, wanted: Wanted, name: str, x: float, room: float
) -> tuple[list[Shape], float]:
    """One picture with its title above and its legend below, and where that ends."""
    layer = wanted.at(trace.layers)
    titles = {
        "region": "Region",
        "compression": f"Compression: {trace.visual_tokens} to {trace.input_tokens} tokens",
        "pruning": f"Pruning: layer {layer} (of 0–{trace.layers - 1})",
        "alive": "Visual tokens in each layer",
    }
    top = MARGIN + TITLE + 4
    title = fonts.shortened(titles[name], room, TITLE, bold=True)
    if name == "alive":
        height = max(90.0, 0.5 * room)
        shapes, keys = curve.alive(trace, words.method_name(method), x, top, room, height)
    else:
        canvas = Canvas(trace, photo.pixels(image), x, top, room)
        height = canvas.height
        draw: dict[str, Callable[[], Panel]] = {
            "region": lambda: panels.region(canvas),
            "compression": lambda: panels.compression(canvas),
            "pruning": lambda: panels.pruning(canvas, layer),
        }
        shapes, keys = draw[name]()
    below, bottom = legend(keys, x, top + height + 4, room)
    return [Words(x, MARGIN + TITLE, title, TITLE, bold=True), *shapes, *below], bottom


def legend(keys: list[Key], x: float, y: float, room: float) -> tuple[list[Shape], float]:
    """Swatches and words in as many lines as `room` points ask for, and where they end."""
    shapes: list[Shape] = []
    across, line = x, y
    for key in keys:
        label = fonts.shortened(key.label, room - SWATCH - 3, SMALL)
        wide = SWATCH + 3 + fonts.width(label, SMALL) + 8
        if across > x and across + wide - 8 > x + room:
            across, line = x, line + LINE
        box = np.array([[across, line, across + SWATCH, line + SWATCH]])
        shapes += [
            Area(box, key.colour, key.alpha),
            Lines(hatch(box, key.pattern, SWATCH / 2), key.colour, 0.5, 0.9),
            Lines(frame_lines(box[0]), key.frame or key.colour, 0.6),
            Words(across + SWATCH + 3, line + SWATCH - 1, label, SMALL),
        ]
        across += wide
    return shapes, line + SWATCH + 2
