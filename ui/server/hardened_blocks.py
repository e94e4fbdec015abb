"""Gradio's Blocks for visitors whom nobody knows: what its own page would not send is refused in one sentence.

Gradio by itself downloads what is named by its address in the place of a file, writes a traceback for every input that
cannot be, and stops answering everybody when it has a message for somebody who is gone. It also keeps a row of figures
for each request, and after every request makes a table of all of them, for a dashboard that is not served here; what
these tables leave behind in the process grew by about 14 kB a request.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import gradio as gr

log = logging.getLogger(__name__)
MOST_DEEP = 20  # lists in lists; the page sends three
FETCHED = "A file cannot be given by its address: upload it."
UNCOUNTED = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}  # one row, no table
STRANGE = "What was sent is not what this page sends; load it again."


class HardenedBlocks(gr.Blocks):
    """`gr.Blocks` that fetches nothing, and that no input can stop."""

    def queue(self, *options: Any, **named: Any) -> HardenedBlocks:
        """As Gradio's; a message for somebody who is gone ends that request alone, and no figures are made of requests
        (unless the environment asks for them).
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
        """As Gradio's; `gr.Error` with one sentence for what cannot be."""
        _refuse_addresses(inputs)
        try:
            return await super().preprocess_data(block_fn, inputs, *more, **named)
        except Exception as error:
            log.warning("refused what no page sends: %s", type(error).__name__)
            raise gr.Error(STRANGE, print_exception=False) from None


def _refuse_addresses(value: Any, depth: int = 0) -> None:
    """Looks at everything that Gradio would take for a file, however deep it lies."""
    if depth > MOST_DEEP:
        raise gr.Error(STRANGE, print_exception=False)
    if isinstance(value, dict) and "://" in str(value.get("path", "")):
        raise gr.Error(FETCHED, print_exception=False)
    if isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_addresses(each, depth + 1)
