"""A whole run as one HTML file: the explorer itself with the run inside, and what is known of it. Needs no network.

The page's policy lets nothing be fetched; questions and answers are text wherever they are shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ui.export.metadata import facts
from ui.views import scripts, theme
from ui.views.rendering import TEMPLATES

if TYPE_CHECKING:
    from crop_core.records.results import Comparison
    from ui.views.explorer_state import ExplorerState


def page(view: ExplorerState, result: Comparison) -> bytes:
    """The file."""
    text = TEMPLATES.get_template("report_page.html").render(
        question=result.question,
        facts=facts(result),
        payload=replace(view, fixed=True).to_json(),
        explorer_css=theme.explorer_css(),
        script=scripts.bundle("report"),
    )
    return text.encode()
