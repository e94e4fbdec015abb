"""The table of figures of a run, their options, and drawing one as a matplotlib figure.

`figure_files.written` makes a file of it. matplotlib is loaded when a figure is drawn; images are scaled by OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from crop_core.records.formatting import truncated_repr
from ui.export.captions import comparison_caption
from ui.export.letters import DEFAULT_LETTERS, FigureError, Letters
from ui.export.report import facts
from ui.views.chart_data import TIMES_TITLE

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import Comparison
    from crop_core.records.trace import TokenTrace
    from ui.export.page_layout import RunFigure

OF_A_WORD = frozenset({"baseline", "pruned"})  # panels
OF_A_LAYER = OF_A_WORD | {"pruning"}
MAX_SIDE = 1400  # pixels: 6 cm at 600 dpi
MIN_WIDTH, MAX_WIDTH = 3.0, 40.0  # centimetres


@dataclass(frozen=True)
class FigureKind:
    """Row of FIGURES. label: in the interface. drawers: "module:function" of its panels from left to right, each
    a function of a `ShownRun` that returns a `page_layout.Panel`. caption: the sentence on what it shows, with the
    names in braces that `captions.comparison_caption` fills in; without its end.
    """

    label: str
    drawers: tuple[str, ...]
    caption: str = "Figure for the question {question}"


PARTS = ("trace_panels:region", "trace_panels:compression", "trace_panels:pruning")
FIGURES = {  # a new figure is a file beside this one, and a row here
    "row": FigureKind(
        "All three in a row",
        PARTS,
        "The region that the question {question} is about, the visual tokens after compression ({tokens} to {kept}), "
        "and those alive in layer {layer} of {model}",
    ),
    "region": FigureKind("Region", PARTS[:1], "The region that the question {question} is about, on the 8x8 grid"),
    "explanation": FigureKind(
        "How the region came about",
        ("explanation:explanation",),
        "How the region that the question {question} is about came about",
    ),
    "compression": FigureKind(
        "Compression", PARTS[1:2], "Visual tokens after compression ({tokens} to {kept}) for the question {question}"
    ),
    "pruning": FigureKind(
        "Pruning at a layer", PARTS[2:], "Visual tokens alive in layer {layer} of {model} for the question {question}"
    ),
    "alive": FigureKind(
        "Alive curve",
        ("curves:alive",),
        "Visual tokens in each of the {layers} of {model} for the question {question}",
    ),
    "attention": FigureKind(
        "Where the baseline looked",
        ("attention:baseline",),
        "Attention to each visual token in layer {layer} of {model} (mean of the heads) in the baseline, for the "
        "question {question}",
    ),
    "attention-pruned": FigureKind(
        "Where the pruned run looked",
        ("attention:pruned",),
        "Attention to each visual token in layer {layer} of {model} (mean of the heads) in the pruned run, for the "
        "question {question}",
    ),
    "times": FigureKind(
        TIMES_TITLE,
        ("time_bars:times",),
        "Time of each stage of one request, the question {question} ({device})",
    ),
}


@dataclass(frozen=True, eq=False)
class ShownRun:
    """Input of a panel: an image (H, W, 3), its trace, the whole result, a layer; the image's number from 0, and that
    of an answer token from 1.
    """

    pixels: NDArray[np.uint8]
    trace: TokenTrace
    result: Comparison
    layer: int
    image: int = 0
    word: int = 1


@dataclass(frozen=True)
class FigureOptions:
    """name: one of FIGURES. width: centimetres. layer: of the pruning figure, None for the last one.

    captioned: whether a caption stands under it. image: number of the image, from 1. word: of the answer token whose
    attention is shown, from 1. letters: font and size. Raises FigureError for invalid values.
    """

    name: str = "row"
    width: float = 17.5
    layer: int | None = None
    captioned: bool = False
    image: int = 1
    word: int = 1
    letters: Letters = DEFAULT_LETTERS

    def __post_init__(self) -> None:
        if self.name not in FIGURES:
            raise FigureError(f"The figure {truncated_repr(self.name)} is not known; choose {', '.join(FIGURES)}.")
        check_width(self.width)

    def at(self, layers: int) -> int:
        """Layer to show; FigureError for one that the model lacks."""
        layer = layers - 1 if self.layer is None else self.layer
        if not 0 <= layer < layers:
            raise FigureError(
                f"There is no layer {truncated_repr(layer)}; give one from 0 to {layers - 1}, or none for the last."
            )
        return layer

    def of(self, traces: Sequence[TokenTrace]) -> TokenTrace:
        """Trace to show; FigureError for an image that the run lacks."""
        if not 1 <= self.image <= len(traces):
            raise FigureError(
                f"There is no image {truncated_repr(self.image)}; the run is about {len(traces)}, counted from 1."
            )
        return traces[self.image - 1]


def check_width(width: float) -> None:
    """Raise FigureError for a width (cm) out of range."""
    if not MIN_WIDTH <= width <= MAX_WIDTH:
        raise FigureError(
            f"A figure of {width:g} cm cannot be drawn; give a width from {MIN_WIDTH:g} to {MAX_WIDTH:g} cm."
        )


def drawer(spec: str) -> Callable[..., Any]:
    """Function at "module:function" of this package."""
    module, name = spec.split(":")
    function: Callable[..., Any] = getattr(import_module(f"{__package__}.{module}"), name)
    return function


def figure(images: Sequence[Image.Image], result: Comparison, options: FigureOptions) -> RunFigure:
    """Draw the figure of one run for one of its images. images: those of the run, in any size.

    Returns a `matplotlib.figure.Figure` with its metadata. Raises FigureError for options that do not fit the run.
    """
    from ui.export.page_layout import lay_out

    trace = options.of(result.crop.traces)
    if result.unfamiliar:  # a guess has no confidence
        trace = replace(trace, region=replace(trace.region, confidence=None))
    run = ShownRun(
        pixels(images[options.image - 1]), trace, result, options.at(trace.layers), options.image - 1, options.word
    )
    specs = FIGURES[options.name].drawers
    names = [spec.split(":")[1] for spec in specs]
    layer = {"layer": str(run.layer)} if OF_A_LAYER.intersection(names) else {}
    word = {"answer token": str(run.word)} if OF_A_WORD.intersection(names) else {}
    image = {"image": f"{options.image} of {len(result.crop.traces)}"} if len(result.regions) > 1 else {}
    metadata = {"figure": ", ".join(names), **image, **layer, **word, **facts(result)}
    below = caption(result, options) if options.captioned else ""
    panels = [drawer(spec)(run) for spec in specs]
    return lay_out(panels, options.width, result.question, metadata, below, options.letters)


def caption(result: Comparison, options: FigureOptions) -> str:
    """Caption of the figure, as a sentence for a paper; FigureError for options that do not fit the run."""
    layer = options.at(options.of(result.crop.traces).layers)
    return comparison_caption(result, FIGURES[options.name].caption, options.image, layer)


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) RGB, at most MAX_SIDE pixels a side."""
    return smaller(np.asarray(image.convert("RGB")), MAX_SIDE)


def smaller(image: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """The image (H, W, 3), scaled down to at most `max_side` pixels a side."""
    scale = max_side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def greyed(image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Copy without colour in boxes (K, 4), which are shares (0..1) of its width and height."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    result = image.copy()
    shares = np.clip(boxes, 0, 1) * [width, height, width, height]
    for left, top, right, bottom in np.round(shares).astype(int):
        result[top:bottom, left:right] = grey[top:bottom, left:right]
    return result
