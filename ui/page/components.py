"""The app's own components: explorer, gallery, strips, follow-up question, an image input that gives the raw file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.views import scripts

FOLLOW_UP_INFO = "About the same images, which are read again; the earlier questions and their answers come before it."
NO_FOLLOW_UP = "No follow-up questions: the model that runs here reads each question by itself, without earlier ones."
MOUNT = "<div class='cx-mount'></div>"


class ExplorerView(gr.HTML):
    """Draws one payload (`ui.views.explorer_state`): {"image": data URL, "others": [data URL], "data": JSON text}.

    Its `input` event means that a region was drawn, and `submit` that it is to be asked about;
    `window.cropExplorer` moves the cells between the images and the page's fields, and hears that a run was stopped.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(html_template=MOUNT, js_on_load=scripts.mount("explorer"), apply_default_css=False, **kwargs)

    def api_info(self) -> dict[str, Any]:
        """The payload as a JSON schema, for the app's API page."""
        text = {"type": "string"}
        return {
            "type": "object",
            "properties": {"image": text, "others": {"type": "array", "items": text}, "data": text},
        }


class GalleryView(gr.HTML):
    """Draws methods side by side (`ui.views.gallery.gallery_json`)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(html_template=MOUNT, js_on_load=scripts.mount("gallery"), apply_default_css=False, **kwargs)


class Strip(gr.HTML):
    """Buttons with a data-index each: examples (`ui.views.examples.strip_html`) or runs
    (`ui.views.history.strip_html`).

    Its `select` event carries {"index": int}, which comes from the browser and is not to be trusted.
    """

    CLICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', { index: Number(button.dataset.index) });
});
"""

    def __init__(self, value: str = "", **kwargs: Any) -> None:
        super().__init__(value, js_on_load=self.CLICK, apply_default_css=False, **kwargs)


class ImageInput(gr.Image):
    """`gr.Image` that hands the path of the uploaded file on unopened, so that the engine's own checks read it."""

    def get_block_name(self) -> str:
        """The front end's component is the ordinary image."""
        return "image"

    def preprocess(self, payload: Any) -> str | None:
        """Path of the uploaded file, or None when there is no image."""
        return None if payload is None else payload.path


class FollowUp:
    """Hidden until there is an answer. keeps_history: whether the model reads earlier turns; else nothing can be typed,
    and why is said.
    """

    def __init__(self, keeps_history: bool) -> None:
        with gr.Column(visible=False, elem_id="follow") as self.box:
            gr.Markdown(NO_FOLLOW_UP, visible=not keeps_history, elem_id="follow-note")
            self.question = gr.Textbox(
                label="Follow-up question",
                info=FOLLOW_UP_INFO,
                visible=keeps_history,
                max_lines=4,
                elem_id="follow-question",
            )
            self.ask = gr.Button("Ask the follow-up", visible=keeps_history, elem_id="follow-ask")

    @property
    def events(self) -> list[Any]:
        """All ways to ask it."""
        return [self.question.submit, self.ask.click]
