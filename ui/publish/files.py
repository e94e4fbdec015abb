"""A figure's file: the choice of format and width, its content, the button that gives it, and what cannot be."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from crop_core.units import repeated
from ui.publish.pdf import pdf
from ui.publish.png import png
from ui.publish.shapes import Drawing
from ui.publish.sheet import FigureError
from ui.publish.svg import svg

FORMATS = ("PNG", "SVG", "PDF")
DPI = 300


def format_and_width(name: str) -> tuple[gr.Radio, gr.Number]:
    """Both widgets, with ids that begin with `name`."""
    kind = gr.Radio(list(FORMATS), value="PNG", label="Format", elem_id=f"{name}-format", min_width=280)
    return kind, gr.Number(17.5, label="Width, cm", elem_id=f"{name}-width", min_width=90)


def written(drawing: Drawing, kind: str, dpi: int = DPI) -> bytes:
    """The file in one of FORMATS; FigureError for another one (it comes from the browser), and as `png` does."""
    if kind not in FORMATS:
        raise FigureError(f"The format {repeated(kind)} is not known; choose {', '.join(FORMATS)}.")
    return {"PNG": lambda: png(drawing, dpi), "SVG": lambda: svg(drawing), "PDF": lambda: pdf(drawing)}[kind]()


def offered(content: bytes, name: str, label: str | None = None) -> gr.DownloadButton:
    """A button that gives this file; its label stays as it is unless there is a new one."""
    changed: dict[str, Any] = {} if label is None else {"label": label}
    return gr.DownloadButton(value=save_bytes_to_cache(content, name, get_upload_folder()), interactive=True, **changed)
