"""Values of the panel of settings, and events, as Gradio hands them to a handler."""

import re

from crop_core.records.config import PlcConfig
from ui.page.controls import rings_text

SETTINGS = ("crop", "192", "", rings_text(PlcConfig()), "", False, "", False, "", "predicted", 2, 2, 5, 5)


def shown_status(html):
    """What a status line shows, without what screen readers alone are told."""
    return re.sub(r"<[^>]+>", "", re.sub(r'<span class="told".*?</span>', "", html)).strip()


class Event:
    """The part of gr.EventData that is read."""

    def __init__(self, data: object) -> None:
        self._data = data
