"""What is made anew whenever it is asked for: one at a time, and what was asked for last stands in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

IN_TURN: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_limit": 1}


class LatestOnly:
    """A number on the page, which nobody sees, changes with every wish.

    Handlers of one event each would run beside each other, and an earlier wish could come true last. Gradio's page
    holds a wish back only once it knows of the one before, and sends two that come at once; so the server makes one
    after the other too, in the order in which they came.
    """

    def __init__(self) -> None:
        self._due = gr.Number(visible="hidden", container=False)

    def asked_by(self, *listeners: Callable[..., Any]) -> None:
        """Each of these events asks for it."""
        for listen in listeners:
            listen(None, None, self._due, js="() => performance.now()", **QUIET)

    def made_by(self, make: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], **how: Any) -> None:
        """How it is made. While that goes on, of all further wishes the last one waits."""
        self._due.change(make, [*inputs], [*outputs], **IN_TURN, **how, **QUIET)


def chosen(option: Any) -> Callable[..., Any]:
    """The event of an option's new value; of one that is typed, when it has been."""
    listen: Callable[..., Any] = option.blur if isinstance(option, (gr.Number, gr.Textbox)) else option.input
    return listen
