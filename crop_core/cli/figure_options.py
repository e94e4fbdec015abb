"""Options of commands that write figures and tables. What draws them is imported when it is needed."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.io.output_files import check_output, write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE, CSV = (".pdf", ".svg", ".png"), (".csv",)


def add_figure_options(parser: argparse.ArgumentParser, shows: str, csv: str) -> None:
    """--figure, --csv, and the look of the figure. shows: what the figure shows. csv: the rows of the table."""
    parser.add_argument("--figure", metavar="FILE", help=f"write {shows} as .pdf, .svg or .png")
    parser.add_argument("--width", metavar="CM", type=float, default=17.5, help="of the figure (default: 17.5)")
    parser.add_argument("--font", default="sans", help="of the figure: sans or serif (default: sans)")
    parser.add_argument("--font-size", metavar="PT", type=float, default=7.0, help="6 to 10 (default: 7)")
    parser.add_argument("--csv", metavar="FILE", help=f"write {csv} as a table")


def check_figure_options(arguments: argparse.Namespace) -> None:
    """ValueError with one sentence for files that cannot be written, and a look that cannot be drawn."""
    check_output(arguments.figure, "figure", FIGURE)
    check_output(arguments.csv, "table", CSV)
    if arguments.figure:
        from crop_core.records.views import drawing

        drawing("check_look")(arguments.width, look(arguments))


def look(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of `figure` methods of results."""
    return {"font": arguments.font, "font_size": arguments.font_size}


def write_figure(figure: Figure, target: str) -> None:
    """Write a figure in the format of its file's ending."""
    out = io.BytesIO()
    figure.savefig(out, format=Path(target).suffix[1:])
    write_output(out.getvalue(), target, "figure")


def write_csv(text: str, target: str) -> None:
    """Write a table."""
    write_output(text.encode(), target, "table")
