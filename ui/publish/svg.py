"""A drawing as SVG text. The photo is the only raster in it; the facts stand in <desc> and, as JSON, in <metadata>."""

from __future__ import annotations

import base64
import json
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crop_core.embedded import encoded
from ui.publish.shapes import Area, Drawing, Faces, Lines, Photo, Shape, Words

FONTS = "'Bitstream Vera Sans', 'DejaVu Sans', Verdana, Arial, sans-serif"
LOSSLESS = 400_000  # bytes that a photo may take before it becomes a JPEG


def svg(drawing: Drawing) -> bytes:
    """The file."""
    width, height = _n(drawing.width), _n(drawing.height)
    told = "\n".join(f"{name}: {text}" for name, text in drawing.facts.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_text(drawing.title)}</title>",
        f"<desc>{_text(told)}</desc>",
        f"<metadata>{_text(json.dumps(drawing.facts, ensure_ascii=False))}</metadata>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(_shape(shape) for shape in drawing.shapes),
        "</svg>\n",
    ]
    return "\n".join(lines).encode()


def _shape(shape: Shape) -> str:
    if isinstance(shape, Photo):
        return _photo(shape)
    if isinstance(shape, Area):
        path = "".join(f"M{_n(x0)} {_n(y0)}H{_n(x1)}V{_n(y1)}H{_n(x0)}Z" for x0, y0, x1, y1 in shape.boxes)
        return f'<path fill="{shape.colour}" fill-opacity="{_n(shape.alpha)}" d="{path}"/>'
    if isinstance(shape, Faces):
        path = "".join("M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in face) + "Z" for face in shape.corners)
        return f'<path fill="{shape.colour}" fill-opacity="{_n(shape.alpha)}" d="{path}"/>'
    if isinstance(shape, Lines):
        path = "".join(f"M{_n(x0)} {_n(y0)}L{_n(x1)} {_n(y1)}" for (x0, y0), (x1, y1) in shape.segments)
        pen = f'stroke="{shape.colour}" stroke-width="{_n(shape.width)}" stroke-opacity="{_n(shape.alpha)}"'
        return f'<path fill="none" {pen} stroke-linecap="square" d="{path}"/>'
    return _words(shape)


def _photo(photo: Photo) -> str:
    kind, content = encoded(Image.fromarray(photo.pixels), LOSSLESS)
    left, top, right, bottom = photo.box
    return (
        f'<image x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" height="{_n(bottom - top)}" '
        f'preserveAspectRatio="none" href="data:image/{kind};base64,{base64.b64encode(content).decode()}"/>'
    )


def _words(words: Words) -> str:
    weight = ' font-weight="bold"' if words.bold else ""
    return (
        f'<text x="{_n(words.x)}" y="{_n(words.y)}" font-family="{FONTS}" font-size="{_n(words.size)}"{weight} '
        f'fill="{words.colour}" text-anchor="{words.anchor}">{_text(words.text)}</text>'
    )


def _n(value: float | np.floating | NDArray) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    """Text for XML, which knows no control characters."""
    return escape("".join(letter for letter in text if letter.isprintable() or letter == "\n"))
