"""Gradio's Blocks for untrusted visitors: what its own page would not send is refused in one sentence.

Gradio by itself downloads URLs given in the place of a file, writes a traceback for every invalid input, and stops
answering everybody when it has a message for a visitor who has left. It also keeps analytics of each request, and after
every request makes a table of all of them, for a dashboard that is not served here; these tables made the process grow
by about 14 kB a request.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import gradio as gr

log = logging.getLogger(__name__)
MAX_DEPTH = 20  # nested lists; the page sends three
NO_URL = "A file cannot be given by its URL: upload it."
UNCOUNTED = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}  # one row, no table
MALFORMED = "This page does not send such input; reload the page."


class HardenedBlocks(gr.Blocks):
    """`gr.Blocks` that fetches no URL, and that no input can stop."""

    def queue(self, *options: Any, **named: Any) -> HardenedBlocks:
        """As Gradio's; a message for a visitor who has left ends that request alone, and there are no analytics
        (unless the environment sets them).
        """
        for name, value in UNCOUNTED.items():
            os.environ.setdefault(name, value)
        super().queue(*options, **named)
        send = self._queue.send_message

        def unless_gone(event: Any, message: Any) -> None:
            try:
                send(event, message)
            except KeyError:
                event.alive = False

        self._queue.send_message = unless_gone
        return self

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """As Gradio's; `gr.Error` with one sentence for invalid input."""
        _refuse_urls(inputs)
        try:
            return await super().preprocess_data(block_fn, inputs, *more, **named)
        except Exception as error:
            log.warning("malformed input refused: %s", type(error).__name__)
            raise gr.Error(MALFORMED, print_exception=False) from None


def _refuse_urls(value: Any, depth: int = 0) -> None:
    """Raise gr.Error for a URL in anything that Gradio would take for a file, at any depth."""
    if depth > MAX_DEPTH:
        raise gr.Error(MALFORMED, print_exception=False)
    if isinstance(value, dict) and "://" in str(value.get("path", "")):
        raise gr.Error(NO_URL, print_exception=False)
    if isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_urls(each, depth + 1)
