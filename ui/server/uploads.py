"""A page that takes files by upload alone: an address in the place of a file is refused, and nothing is fetched.

Gradio by itself downloads what a client names by its address, into the folder of uploads.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

MOST_DEEP = 20  # lists in lists; the page sends three
FETCHED = "A file cannot be given by its address: upload it."
DEEP = "What was sent cannot be read: it is nested too deeply."


class UploadsOnly(gr.Blocks):
    """`gr.Blocks` whose inputs name no address."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """As Gradio's; `gr.Error` with one sentence for an address."""
        _refuse_addresses(inputs)
        return await super().preprocess_data(block_fn, inputs, *more, **named)


def _refuse_addresses(value: Any, depth: int = 0) -> None:
    """Looks at everything that Gradio would take for a file, however deep it lies."""
    if depth > MOST_DEEP:
        raise gr.Error(DEEP, print_exception=False)
    if isinstance(value, dict) and "://" in str(value.get("path", "")):
        raise gr.Error(FETCHED, print_exception=False)
    if isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_addresses(each, depth + 1)

