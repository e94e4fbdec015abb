"""The place for a question that follows the answer on screen."""

from __future__ import annotations

from typing import Any

import gradio as gr

HELP = "About the same images, which are read again; the earlier questions and their answers come before it."
BY_ITSELF = "No follow-up questions: the model that runs here reads each question by itself, without earlier ones."


class FollowUp:
    """Hidden until there is an answer. keeps_history: whether the model reads earlier turns; else nothing can be typed,
    and why is said.
    """

    def __init__(self, keeps_history: bool) -> None:
        with gr.Column(visible=False, elem_id="follow") as self.box:
            gr.Markdown(BY_ITSELF, visible=not keeps_history, elem_id="follow-note")
            self.question = gr.Textbox(
                label="Follow-up question", info=HELP, visible=keeps_history, max_lines=4, elem_id="follow-question"
            )
            self.ask = gr.Button("Ask the follow-up", visible=keeps_history, elem_id="follow-ask")

    @property
    def events(self) -> list[Any]:
        """All ways to ask it."""
        return [self.question.submit, self.ask.click]
