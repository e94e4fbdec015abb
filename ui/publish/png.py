"""A drawing as a PNG file (Pillow), drawn twice as large and averaged; the facts are its text chunks."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ui.publish import fonts
from ui.publish.figure import FigureError
from ui.publish.shapes import Area, Drawing, Lines, Photo, Shape, Words

TWICE = 2
LOW, HIGH = 72, 1200  # dots per inch
MOST = 16_000_000  # pixels of the file


def png(drawing: Drawing, dpi: int = 300) -> bytes:
    """The file; FigureError for a resolution that is none, or that makes it too large."""
    if not LOW <= dpi <= HIGH:
        raise FigureError(f"A resolution of {dpi:g} dpi cannot be drawn; give one from {LOW} to {HIGH}.")
    size = round(drawing.width * dpi / 72), round(drawing.height * dpi / 72)
    if size[0] * size[1] > MOST:
        raise FigureError(f"A PNG of {size[0]}x{size[1]} pixels is too large; give a smaller width or fewer dpi.")
    page = Image.new("RGB", (TWICE * size[0], TWICE * size[1]), "#ffffff")
    for shape in drawing.shapes:
        _draw(page, shape, TWICE * dpi / 72)
    buffer = io.BytesIO()
    page.reduce(TWICE).save(buffer, "PNG", dpi=(dpi, dpi), pnginfo=_info(drawing))
    return buffer.getvalue()


def _info(drawing: Drawing) -> PngInfo:
    info = PngInfo()
    for name, text in {"Title": drawing.title, "Software": "CROP Explorer", **drawing.facts}.items():
        info.add_itxt(name, text)
    return info


def _draw(page: Image.Image, shape: Shape, scale: float) -> None:
    if isinstance(shape, Photo):
        left, top, right, bottom = (round(scale * value) for value in shape.box)
        photo = Image.fromarray(shape.pixels).resize(
            (max(1, right - left), max(1, bottom - top)), Image.Resampling.LANCZOS
        )
        page.paste(photo, (left, top))
    elif isinstance(shape, Words):
        _words(page, shape, scale)
    else:
        _painted(page, shape, scale)


def _painted(page: Image.Image, shape: Area | Lines, scale: float) -> None:
    """One paint through one mask, which is no larger than the shape, so that nothing is painted twice."""
    pen = round(scale * shape.width) if isinstance(shape, Lines) else 0
    points = (shape.segments if isinstance(shape, Lines) else shape.boxes).reshape(-1, 2) * scale
    if not len(points):
        return
    corner = np.floor(points.min(axis=0) - pen - 1).astype(int)
    size = np.ceil(points.max(axis=0) + pen + 1).astype(int) - corner
    mask = Image.new("L", (int(size[0]), int(size[1])))
    _marked(ImageDraw.Draw(mask), (points - corner).reshape(-1, 4), max(1, pen), isinstance(shape, Area))
    alpha = shape.alpha
    page.paste(shape.colour, (int(corner[0]), int(corner[1])), mask.point(lambda value: round(value * alpha)))


def _marked(pen: ImageDraw.ImageDraw, rows: np.ndarray, width: int, filled: bool) -> None:
    """rows (K, 4): boxes to be filled, or the two ends of lines."""
    for x0, y0, x1, y1 in np.round(rows).astype(int).tolist():
        if not filled:
            pen.line([x0, y0, x1, y1], 255, width)
        elif x1 > x0 and y1 > y0:
            pen.rectangle([x0, y0, x1 - 1, y1 - 1], 255)


def _words(page: Image.Image, words: Words, scale: float) -> None:
    font = ImageFont.truetype(str(fonts.font_file(words.bold)), words.size * scale)
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    text = fonts.drawable(words.text, words.bold)
    ImageDraw.Draw(page).text((words.x * scale, words.y * scale), text, words.colour, font, anchor)
