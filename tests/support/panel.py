"""Values of the panel of settings, and events, as Gradio hands them to a handler."""

from crop_core.records.config import PlcConfig
from ui.page.controls import rings_text

SETTINGS = ("crop", "192", "", rings_text(PlcConfig()), "", False, "", False, "predicted", 2, 2, 5, 5)


class Event:
    """The part of gr.EventData that is read."""

    def __init__(self, data: object) -> None:
        self._data = data
