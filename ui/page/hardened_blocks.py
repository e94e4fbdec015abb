"""Gradio's Blocks for untrusted visitors: what its own page would not send is refused in one sentence.

Gradio by itself downloads URLs given in the place of a file, writes a traceback for every invalid input, and stops
answering everybody when it has a message for a visitor who has left. On a Space it watches the program for changes,
which takes the package `spaces` and an interface named `demo`. It also keeps analytics of each request, and after
every request makes a table of all of them, for a dashboard that is not served here; these tables made the process
grow by about 14 kB a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
from math import inf
from typing import Any

import gradio as gr
from gradio import http_server

from ui.page.api_inputs import MAX_PATH, check_call

log = logging.getLogger(__name__)
MAX_DEPTH = 20  # nested lists; the page sends three
NO_URL = "A file cannot be given by its URL: upload it."
UNCOUNTED = {"GRADIO_ANALYTICS_MAX_EVENTS": "1", "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12)}  # one row, no table
MAX_WAITING = 2**20  # bytes of a request that may wait: the page's; calls of the API, with an image, never do
MALFORMED = "This page does not send such input; reload the page."


class HardenedBlocks(gr.Blocks):
    """`gr.Blocks` that fetches no URL, and that no input can stop."""

    max_file_size: int | None = None  # bytes, until `launch` sets it

    def launch(self, *options: Any, **named: Any) -> Any:
        """As Gradio's, and a Space is not watched for changes."""
        http_server.get_space = lambda: None
        return super().launch(*options, **named)

    def queue(self, *options: Any, **named: Any) -> HardenedBlocks:
        """As Gradio's; a message for a visitor who has left ends that request alone, and there are no analytics
        (unless the environment sets them).
        """
        for name, value in UNCOUNTED.items():
            os.environ.setdefault(name, value)
        super().queue(*options, **named)
        send, push = self._queue.send_message, self._queue.push

        async def unless_large(body: Any, request: Any, username: str | None) -> Any:
            fn = self.fns.get(body.fn_index)
            waits = fn is not None and fn.concurrency_limit is not None
            if waits and len(await request.body()) > MAX_WAITING:
                return False, MALFORMED, "error"
            return await push(body, request, username)

        def unless_gone(event: Any, message: Any) -> None:
            try:
                send(event, message)
            except KeyError:
                event.alive = False

        self._queue.send_message, self._queue.push = unless_gone, unless_large
        return self

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """As Gradio's; `gr.Error` with one sentence for invalid input."""
        try:
            if block_fn.api_visibility == "public":
                await asyncio.to_thread(check_call, inputs, block_fn.inputs, self.max_file_size or inf)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        _refuse_paths(inputs)
        try:
            return await super().preprocess_data(block_fn, inputs, *more, **named)
        except Exception as error:
            log.warning("malformed input refused: %s", type(error).__name__)
            raise gr.Error(MALFORMED, print_exception=False) from None


def _refuse_paths(value: Any, depth: int = 0) -> None:
    """Raise gr.Error for a URL or a folder in anything that Gradio would take for a file, at any depth."""
    path = str(value.get("path", "")) if isinstance(value, dict) else ""
    # Gradio would try to delete a folder, and then nothing any more; a path of a megabyte it would resolve for minutes.
    if depth > MAX_DEPTH or len(path) > MAX_PATH or os.path.isdir(path):
        raise gr.Error(MALFORMED, print_exception=False)
    if "://" in path:
        raise gr.Error(NO_URL, print_exception=False)
    if isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_paths(each, depth + 1)
