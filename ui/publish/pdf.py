"""A drawing as a PDF file (reportlab): one page, vectors, embedded fonts, the facts as its keywords."""

from __future__ import annotations

import io

from PIL import Image
from reportlab.lib.colors import HexColor
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from crop_core import __version__
from crop_core.embedded import encoded
from ui.publish import fonts
from ui.publish.shapes import Area, Drawing, Faces, Lines, Photo, Shape, Words
from ui.publish.svg import LOSSLESS


def pdf(drawing: Drawing) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=(drawing.width, drawing.height))
    page.setTitle(drawing.title)
    page.setCreator(f"CROP Explorer {__version__}")
    page.setSubject("; ".join(f"{name}: {text}" for name, text in drawing.facts.items()))
    page.setKeywords([f"{name}: {text}" for name, text in drawing.facts.items()])
    page.setLineCap(2)
    for shape in drawing.shapes:
        _draw(page, shape, drawing.height)
    page.showPage()
    page.save()
    return buffer.getvalue()


def _draw(page: Canvas, shape: Shape, height: float) -> None:
    """PDF's y runs upwards."""
    if isinstance(shape, Photo):
        left, top, right, bottom = shape.box
        _, content = encoded(Image.fromarray(shape.pixels), LOSSLESS)
        page.drawImage(ImageReader(io.BytesIO(content)), left, height - bottom, right - left, bottom - top)
    elif isinstance(shape, Area):
        page.setFillColor(HexColor(shape.colour), shape.alpha)
        path = page.beginPath()
        for left, top, right, bottom in shape.boxes.tolist():
            path.rect(left, height - bottom, right - left, bottom - top)
        page.drawPath(path, stroke=0, fill=1)
    elif isinstance(shape, Faces):
        page.setFillColor(HexColor(shape.colour), shape.alpha)
        path = page.beginPath()
        for (x, y), *others in shape.corners.tolist():
            path.moveTo(x, height - y)
            for x1, y1 in others:
                path.lineTo(x1, height - y1)
            path.close()
        page.drawPath(path, stroke=0, fill=1)
    elif isinstance(shape, Lines):
        page.setStrokeColor(HexColor(shape.colour), shape.alpha)
        page.setLineWidth(shape.width)
        path = page.beginPath()
        for (x0, y0), (x1, y1) in shape.segments.tolist():
            path.moveTo(x0, height - y0)
            path.lineTo(x1, height - y1)
        page.drawPath(path, stroke=1, fill=0)
    else:
        _words(page, shape, height)


def _words(page: Canvas, words: Words, height: float) -> None:
    page.setFillColor(HexColor(words.colour), 1)
    page.setFont(fonts.font(words.bold).fontName, words.size)
    draw = {"start": page.drawString, "middle": page.drawCentredString, "end": page.drawRightString}[words.anchor]
    draw(words.x, height - words.y, fonts.drawable(words.text, words.bold))
