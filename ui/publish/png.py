"""A drawing as a PNG file (Pillow), drawn twice as large and averaged; the facts are its text chunks."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ui.publish import fonts
from ui.publish.shapes import Area, Drawing, Faces, Lines, Photo, Shape, Words
from ui.publish.sheet import FigureError

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


def _painted(page: Image.Image, shape: Area | Faces | Lines, scale: float) -> None:
    """One paint through one mask, which is no larger than the shape, so that nothing is painted twice."""
    pen = round(scale * shape.width) if isinstance(shape, Lines) else 0
    parts = _corners(shape) * scale
    if not len(parts):
        return
    points = parts.reshape(-1, 2)
    corner = np.floor(points.min(axis=0) - pen - 1).astype(int)
    size = np.ceil(points.max(axis=0) + pen + 1).astype(int) - corner
    mask = Image.new("L", (int(size[0]), int(size[1])))
    _marked(ImageDraw.Draw(mask), parts - corner, shape, max(1, pen))
    alpha = shape.alpha
    page.paste(shape.colour, (int(corner[0]), int(corner[1])), mask.point(lambda value: round(value * alpha)))


def _corners(shape: Area | Faces | Lines) -> np.ndarray:
    """(K, P, 2): two corners of each box, all of each polygon, the ends of each line."""
    if isinstance(shape, Area):
        return shape.boxes.reshape(-1, 2, 2)
    return shape.corners if isinstance(shape, Faces) else shape.segments


def _marked(pen: ImageDraw.ImageDraw, parts: np.ndarray, shape: Area | Faces | Lines, width: int) -> None:
    """parts (K, P, 2): as `_corners`, in pixels of the mask."""
    for points in np.round(parts).astype(int).reshape(len(parts), -1).tolist():
        if isinstance(shape, Lines):
            pen.line(points, 255, width)
        elif isinstance(shape, Faces):
            pen.polygon(points, 255)
        elif points[2] > points[0] and points[3] > points[1]:
            pen.rectangle([points[0], points[1], points[2] - 1, points[3] - 1], 255)


def _words(page: Image.Image, words: Words, scale: float) -> None:
    font = ImageFont.truetype(str(fonts.font_file(words.bold)), words.size * scale)
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    text = fonts.drawable(words.text, words.bold)
    ImageDraw.Draw(page).text((words.x * scale, words.y * scale), text, words.colour, font, anchor)
