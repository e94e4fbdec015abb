"""Images after the first: their widgets, and the parsing of their (untrusted) values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from PIL import Image

from crop_core.io.images import MAX_PIXELS, ImageError, open_image
from crop_core.records.formatting import truncated_repr
from crop_core.records.region import Region, RegionError

MAX_IMAGES = 6  # of one question
REGIONS_HELP = (
    "Image: left column, top row, right column, bottom row. Filled in when you draw; for other images the choice "
    "under Region applies."
)
FIRST_ONLY = "Methods, Budget and “Where does the answer live?” use the first image only."
ONE_IMAGE = "One image at a time: two do not fit into this model's context."
EXAMPLE = "2: 0 1 3 4, 3: 2 2 5 5"


class MoreImages:
    """Accordion for further images and the regions drawn in them.

    reads_several: whether the model has room for them; if not, a note stands in its place.
    """

    def __init__(self, reads_several: bool) -> None:
        gr.Markdown(ONE_IMAGE, visible=not reads_several, elem_id="more-note")
        with gr.Accordion("More images", open=False, elem_id="more", visible=reads_several):
            self.files = gr.File(
                label="Images after the first", file_count="multiple", height=130, elem_id="more-files"
            )
            self.drawn = gr.Textbox(
                "", label="Their regions", info=REGIONS_HELP, placeholder=EXAMPLE, elem_id="more-regions"
            )
            gr.Markdown(FIRST_ONLY)

    @property
    def values(self) -> list[Any]:
        """Inputs of `open_all` (after the first image) and `other_regions`."""
        return [self.files, self.drawn]


def open_all(path: str | None, more: Sequence[str] | None) -> tuple[Image.Image, ...]:
    """Open all images, RGB; ImageError for an unreadable one, more than MAX_IMAGES, or more than MAX_PIXELS in all."""
    paths, images, pixels = [path, *(more or [])], [], 0
    if len(paths) > MAX_IMAGES:
        raise ImageError(f"There are {len(paths)} images; a question can have at most {MAX_IMAGES}, so remove some.")
    for each in paths:
        images.append(open_image(each))
        pixels += images[-1].width * images[-1].height
        if pixels > MAX_PIXELS:
            limit = MAX_PIXELS // 10**6
            raise ImageError(f"The images together have more than {limit} million pixels; use smaller ones.")
    return tuple(images)


def other_regions(text: str | None, mode: str, sizes: Sequence[tuple[int, int]]) -> list[Region | None]:
    """Regions in the images after the first, whose (width, height) are `sizes`; None where it is to be predicted.

    text: the drawn ones, "2: 0 1 3 4" in the second image. mode: for the others, "whole" or not. Raises RegionError
    with one sentence.
    """
    regions = [Region.whole(*size) if mode == "whole" else None for size in sizes]
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        number, cells = _drawn(part)
        if not 2 <= number <= len(sizes) + 1:
            allowed = (
                f"the images after the first are 2 to {len(sizes) + 1}"
                if sizes
                else "there is only one; leave them empty"
            )
            raise RegionError(f"The regions name image {truncated_repr(number)}, but {allowed}.")
        regions[number - 2] = Region(*cells, *sizes[number - 2], "drawn")
    return regions


def regions_text(regions: Sequence[Region]) -> str:
    """Inverse of `other_regions`: those of the images after the first that were drawn."""
    drawn = ((number, region.grid) for number, region in enumerate(regions, 2) if region.source == "drawn")
    return ", ".join(f"{number}: {' '.join(map(str, grid))}" for number, grid in drawn)


def _drawn(part: str) -> tuple[int, tuple[int, int, int, int]]:
    """Image number and cells of "2: 0 1 3 4"."""
    number, _, cells = part.partition(":")
    try:
        x0, y0, x1, y1 = map(int, cells.split())
        return int(number), (x0, y0, x1, y1)
    except ValueError:
        raise RegionError(f"The regions cannot be read at {truncated_repr(part)}; write them like {EXAMPLE}.") from None
