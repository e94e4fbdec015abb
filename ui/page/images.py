"""The images after the first: their widgets, and what the values of these (untrusted) mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image

from crop_core.io.images import MAX_PIXELS, ImageError, open_image
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import Region, RegionError

MOST = 6  # images of one question
REGIONS_HELP = (
    "Image: left column, top row, right column, bottom row. Written here when you draw; where nothing is written "
    "the choice under Region holds."
)
FIRST_ALONE = "Methods, Budget and “Where does the answer live?” read the first image alone."
EXAMPLE = "2: 0 1 3 4, 3: 2 2 5 5"


class MoreImages:
    """A folded place for files, and for the regions that are drawn in them."""

    def __init__(self) -> None:
        with gr.Accordion("More images", open=False, elem_id="more"):
            self.files = gr.File(
                label="Images after the first", file_count="multiple", height=130, elem_id="more-files"
            )
            self.drawn = gr.Textbox(
                "", label="Their regions", info=REGIONS_HELP, placeholder=EXAMPLE, elem_id="more-regions"
            )
            gr.Markdown(FIRST_ALONE)

    @property
    def values(self) -> list[Any]:
        """The inputs of `open_all` (after the first image) and `other_regions`."""
        return [self.files, self.drawn]


def open_all(path: str | None, more: Sequence[str] | None) -> tuple[Image.Image, ...]:
    """The first image and those after it, RGB; ImageError for one that cannot be read, for more than MOST, and for
    more than MAX_PIXELS of all together.
    """
    paths, images, pixels = [path, *(more or [])], [], 0
    if len(paths) > MOST:
        raise ImageError(f"There are {len(paths)} images, and at most {MOST} can be asked about: take some away.")
    for each in paths:
        images.append(open_image(each))
        pixels += images[-1].width * images[-1].height
        if pixels > MAX_PIXELS:
            limit = MAX_PIXELS // 10**6
            raise ImageError(f"The images together have more than {limit} million pixels: give smaller ones.")
    return tuple(images)


def other_regions(text: str | None, mode: str, sizes: Sequence[tuple[int, int]]) -> list[Region | None]:
    """Regions in the images after the first, whose (width, height) are `sizes`; None where one is to be predicted.

    text: those that were drawn, "2: 0 1 3 4" in the second image. mode: what holds in the others, "whole" or not.
    Raises RegionError with one sentence.
    """
    regions = [Region.whole(*size) if mode == "whole" else None for size in sizes]
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        number, cells = _drawn(part)
        if not 2 <= number <= len(sizes) + 1:
            told = truncated_repr(number)
            raise RegionError(
                f"The regions speak of image {told}, and those after the first are 2 to {len(sizes) + 1}."
                if sizes
                else f"The regions speak of image {told}, and there is one image alone; leave them empty."
            )
        regions[number - 2] = Region(*cells, *sizes[number - 2], "drawn")
    return regions


def _drawn(part: str) -> tuple[int, tuple[int, int, int, int]]:
    """Image and cells of "2: 0 1 3 4"."""
    number, _, cells = part.partition(":")
    try:
        x0, y0, x1, y1 = map(int, cells.split())
        return int(number), (x0, y0, x1, y1)
    except ValueError:
        raise RegionError(f"The regions cannot be read at {truncated_repr(part)}; write them like {EXAMPLE}.") from None
