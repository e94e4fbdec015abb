"""Figure files: a figure as PNG, SVG or PDF, with its metadata inside and its fonts embedded."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from crop_core.io.data_url import encode_image
from crop_core.records import VERSION
from crop_core.records.formatting import truncated_repr
from ui.export.letters import FigureError

if TYPE_CHECKING:
    from ui.export.page_layout import RunFigure

FORMATS = ("PNG", "SVG", "PDF")
DPI, MIN_DPI, MAX_DPI = 300, 72, 1200
MAX_PIXELS = 16_000_000  # of a PNG
PREVIEW_DPI, MAX_PREVIEW = 110, 2000  # dots an inch, and a side, of a figure on the page
LOSSLESS = 400_000  # bytes of an image in an SVG above which it becomes a JPEG
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def preview(figure: RunFigure) -> str:
    """The figure as a data URL, as large as a page shows it."""
    dpi = min(PREVIEW_DPI, MAX_PREVIEW / max(figure.get_figwidth(), figure.get_figheight()))
    return f"data:image/png;base64,{base64.b64encode(written(figure, 'PNG', max(MIN_DPI, int(dpi)))).decode()}"


def write(figure: RunFigure, target: Any, kind: str, dpi: float | None = None) -> None:
    """Write a figure to a path or an open file. kind: one of FORMATS. dpi: of a PNG."""
    content = written(figure, kind, round(dpi or DPI))
    if hasattr(target, "write"):
        target.write(content)
    else:
        Path(target).write_bytes(content)


def written(figure: RunFigure, kind: str, dpi: int = DPI) -> bytes:
    """File in one of FORMATS, with the metadata inside. dpi: of a PNG.

    Raises FigureError for another format (it comes from the browser), for a resolution out of range, and for a PNG that
    is too large.
    """
    if kind not in FORMATS:
        raise FigureError(f"The format {truncated_repr(kind)} is not known; choose {', '.join(FORMATS)}.")
    return {"PNG": lambda: _png(figure, dpi), "SVG": lambda: _svg(figure), "PDF": lambda: _pdf(figure)}[kind]()


def _png(figure: RunFigure, dpi: int) -> bytes:
    """PNG with the metadata as text chunks."""
    if not MIN_DPI <= dpi <= MAX_DPI:
        raise FigureError(f"A resolution of {dpi:g} dpi cannot be drawn; give one from {MIN_DPI} to {MAX_DPI}.")
    inches = figure.get_figwidth(), figure.get_figheight()
    width, height = (round(side * dpi) for side in inches)
    if width * height > MAX_PIXELS:
        raise FigureError(f"A PNG of {width}x{height} pixels is too large; give a smaller width or fewer dpi.")
    figure.set_size_inches((width + 0.01) / dpi, (height + 0.01) / dpi)  # matplotlib cuts parts of pixels off
    try:
        return _saved(figure, "png", {"Title": figure.title, "Software": "CROP Explorer", **figure.facts}, dpi)
    finally:
        figure.set_size_inches(*inches)


def _pdf(figure: RunFigure) -> bytes:
    """PDF with the metadata as subject and keywords."""
    summary = "; ".join(f"{name}: {text}" for name, text in figure.facts.items())
    metadata = {
        "Title": figure.title,
        "Subject": summary,
        "Keywords": summary,
        "Creator": f"CROP Explorer {VERSION}",
    }
    return _saved(figure, "pdf", {**metadata, "CreationDate": None})


def _svg(figure: RunFigure) -> bytes:
    """SVG with the metadata in <desc> and, as JSON, in <metadata>."""
    summary = "\n".join(f"{name}: {text}" for name, text in figure.facts.items())
    facts = {"title": figure.title, "desc": summary, "metadata": json.dumps(figure.facts, ensure_ascii=False)}
    inside = "".join(f"\n <{name}>{_text(text)}</{name}>" for name, text in facts.items())
    drawn = _saved(figure, "svg", NO_METADATA).decode()
    start, end = drawn.index("<svg"), drawn.index(">", drawn.index("<svg"))
    rest = re.sub(r"image-rendering:[\w-]+;?", "", drawn[end + 1 :])  # smooth scaling of small images
    rest = re.sub(r"data:image/png;base64,\s*([\w+/=\s]+)", _embedded_image, rest)
    return f'{drawn[start:end]} role="img">{inside}{rest}'.encode()


def _embedded_image(png: re.Match[str]) -> str:
    """The same image, as a JPEG where that is much smaller."""
    kind, content = encode_image(Image.open(io.BytesIO(base64.b64decode(png[1]))).convert("RGB"), LOSSLESS)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _saved(figure: RunFigure, kind: str, metadata: dict[str, Any], dpi: float | str = "figure") -> bytes:
    """File by matplotlib. Vector formats hold images unscaled, a PNG scales them."""
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from ui.export.figure_style import style

    images = [each for each in figure.findobj(AxesImage) if each.get_interpolation() == "auto"]
    buffer = io.BytesIO()
    try:
        for image in images if kind != "png" else []:
            image.set_interpolation("none")
        with style(letters=figure.letters):
            Figure.savefig(figure, buffer, format=kind, dpi=dpi, metadata=metadata)
    finally:
        for image in images:
            image.set_interpolation("auto")
    return buffer.getvalue()


def _text(text: str) -> str:
    """Escaped text for XML, without control characters."""
    return html.escape("".join(letter for letter in text if letter.isprintable() or letter == "\n"))
