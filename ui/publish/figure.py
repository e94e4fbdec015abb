"""A figure of a run as a matplotlib figure, which can be changed before `figure_files.written` makes a file of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ui.publish import image as photo
from ui.publish.figure_options import FIGURES, FigureOptions, ShownRun, drawer
from ui.publish.metadata import caption, facts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records import Comparison
    from ui.publish.page_layout import RunFigure


def figure(images: Sequence[Image.Image], result: Comparison, options: FigureOptions) -> RunFigure:
    """The figure of one run, about one of its images. images: those that were asked about, in any size.

    Returns a `matplotlib.figure.Figure` with its facts. Raises FigureError for options that do not fit the run.
    """
    from ui.publish.page_layout import lay_out

    trace = options.of(result.crop.traces)
    run = ShownRun(photo.pixels(images[options.image - 1]), trace, result, options.at(trace.layers))
    places = FIGURES[options.picture].drawers
    below = caption(result, options.image) if options.captioned else ""
    names = [place.split(":")[1] for place in places]
    return lay_out(
        [drawer(place)(run) for place in places], options.width, result.question, _facts(run, options, names), below
    )


def _facts(run: ShownRun, options: FigureOptions, names: list[str]) -> dict[str, str]:
    layer = {"layer": str(run.layer)} if "pruning" in names else {}
    image = {"image": f"{options.image} of {len(run.result.crop.traces)}"} if len(run.result.regions) > 1 else {}
    return {"picture": ", ".join(names), **image, **layer, **facts(run.result)}
