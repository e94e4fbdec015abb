"""What results show in Python: figures, the report of a notebook's cell, DataFrames.

The drawings are those of the app. Their functions in `ui/export/` are named here and imported when they are called, as
METHODS names its classes: `import crop_core` loads no Gradio and no matplotlib, and `crop_core` imports no `ui`.
"""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from crop_core.records.tables import comparison_rows, data_frame, token_rows

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from crop_core.records.results import Comparison

DRAWINGS = "ui.export.drawings"
FRAME = 'width="100%" height="900" sandbox="allow-scripts" style="border: 0" title="CROP Explorer"'


def drawing(name: str) -> Any:
    """Function of this name in DRAWINGS."""
    return getattr(import_module(DRAWINGS), name)


class ComparisonViews:
    """Methods of a `Comparison`."""

    def figure(self, name: str = "row", width: float = 17.5, **options: Any) -> Figure:
        """A figure of the app as a matplotlib Figure, whose `savefig` keeps the metadata and embeds the fonts.

        name: a row of `ui.export.figure.FIGURES`. width: centimetres. options: layer, image and captioned as in
        `ui.export.figure.FigureOptions`; font, font_size and outlines as in `ui.export.letters.Letters`. Raises
        ValueError with one sentence.
        """
        figure: Figure = drawing("comparison_figure")(self, name, width, options)
        return figure

    def report(self) -> str:
        """The interactive report: one HTML page that needs no network."""
        page: str = drawing("comparison_report")(self)
        return page

    def _repr_html_(self) -> str:
        """The report in a notebook's cell, in a frame of its own."""
        return f'<iframe srcdoc="{escape(self.report())}" {FRAME}></iframe>'

    def tokens(self) -> pd.DataFrame:
        """Every visual token of the pruned run as a row, columns as in `crop_core.records.tables.token_rows`."""
        return data_frame(token_rows(cast("Comparison", self).crop.traces))

    def table(self) -> pd.DataFrame:
        """Both runs as rows, with their costs, columns as in `crop_core.records.tables.comparison_rows`."""
        return data_frame(comparison_rows(cast("Comparison", self)))
