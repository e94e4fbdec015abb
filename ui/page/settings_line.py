"""Line of chips above the answers: the settings of the next run, always visible, and a button that resets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from crop_core.records.config import PAPER_TOKENS, ConfigError
from crop_core.records.methods import Method, method_of
from ui.page.components import QUIET
from ui.page.controls import MODES, SettingsPanel
from ui.page.prepared import BroughtSettings
from ui.page.request import KEYS
from ui.views.rendering import render

AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
SHOWN = ("method", "budget", "custom", "mode", "x0", "y0", "x1", "y1")  # by a chip of their own


class SettingsLine:
    """The chips and the button. brought: settings that a prepared run has brought along, if any."""

    def __init__(self, usual: Sequence[Any]) -> None:
        self.brought = gr.State(None)
        with gr.Row(elem_id="settings-line"):
            self.chips = gr.HTML(chips_html(usual, None, *usual), elem_id="chips", apply_default_css=False)
            self.reset = gr.Button("Reset", size="sm", interactive=False, elem_id="reset", scale=0, min_width=80)

    def follow(self, panel: SettingsPanel, reset: Callable[[], list[Any]]) -> None:
        """Bind the chips to the panel's values, and the button to `reset`."""
        changes = [widget.change for widget in panel.values]
        shown = [self.chips, self.reset]
        read = [self.brought, *panel.values]
        events = [*changes, self.brought.change]
        gr.on(events, lambda *values: chips(panel.usual, *values), read, shown, trigger_mode="always_last", **AT_ONCE)
        self.reset.click(reset, None, [self.brought, *panel.values], **AT_ONCE)


def chips(usual: Sequence[Any], brought: BroughtSettings | None, *values: Any) -> tuple[str, Any]:
    """(chips, button) for the (untrusted) values of the panel; for handlers, since a page would show the button."""
    changed = brought is not None or [*values] != [*usual]
    return chips_html(usual, brought, *values), gr.Button(interactive=changed)


def chips_html(usual: Sequence[Any], brought: BroughtSettings | None, *values: Any) -> str:
    """The chips of the (untrusted) values of the panel."""
    given = dict(zip(KEYS, values, strict=True))
    method = _known(given["method"])
    further = sum(value != plain for key, value, plain in zip(KEYS, values, usual, strict=True) if key not in SHOWN)
    texts = [
        method.title + (" alone" if method.is_stage else "") if method else str(given["method"]),
        _budget(str(given["budget"]), str(given["custom"] or "")) if method and method.prunes else "nothing pruned",
        _region(str(given["mode"])) if method and method.needs_region else "no region",
        *([f"{further} more changed"] if further else []),
        *(["for this example only"] if brought else []),
    ]
    return render("chips", texts)


def _known(name: Any) -> Method | None:
    try:
        return method_of(str(name))
    except ConfigError:
        return None


def _budget(choice: str, custom: str) -> str:
    if choice == "custom":
        return f"budget {custom.strip() or '?'}"
    return "ratios as given" if choice == "ratios" else f"{choice} of {PAPER_TOKENS}"


def _region(mode: str) -> str:
    labels = {name: label.lower() for label, name in MODES}
    return f"region {labels.get(mode, mode)}"
