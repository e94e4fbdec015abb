"""The app's own components: explorer, gallery, strips, follow-up question, an image input that gives the raw file."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from ui.views import scripts

FOLLOW_UP_INFO = "About the same images, which are read again; earlier turns precede it in the prompt."
NO_FOLLOW_UP = "No follow-up questions: this model reads each question without earlier turns."
MOUNT = "<div class='cx-mount'></div>"
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}  # of an event of the page's own


class ExplorerView(gr.HTML):
    """Explorer: draws {"image": data URL, "others": [data URL], "data": JSON text} (`ui.views.explorer_state`).

    Its `input` event means that a region was drawn, `submit` that it is to be run, `select` with {"tokens": [int]} that
    the question is to be asked with these visual tokens alone, `apply` with {"run": "baseline" or "crop"} that the
    attention of this run is to be read; `window.cropExplorer` copies regions between the explorer and the page's
    fields, and stops a run.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(html_template=MOUNT, js_on_load=scripts.mount("explorer"), apply_default_css=False, **kwargs)

    def api_info(self) -> dict[str, Any]:
        """JSON schema of the payload, for the app's API page."""
        text = {"type": "string"}
        return {
            "type": "object",
            "properties": {"image": text, "others": {"type": "array", "items": text}, "data": text},
        }


class GalleryView(gr.HTML):
    """Gallery: draws methods side by side (`ui.views.explorer_state.gallery_json`)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(html_template=MOUNT, js_on_load=scripts.mount("gallery"), apply_default_css=False, **kwargs)


class Strip(gr.HTML):
    """Buttons with a data-index each: examples (`ui.views.examples.strip_html`) or runs
    (`ui.views.history.strip_html`). In a toolbar one of them is a Tab stop, and arrow keys move on.

    Its `select` event carries {"index": int}, which comes from the browser and is untrusted.
    """

    CLICK = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-index]');
  if (button) trigger('select', { index: Number(button.dataset.index) });
});
element.addEventListener('focusin', ({ target }) => {
  const strip = target.closest('[role="toolbar"]');
  if (!strip || !target.matches('button')) return;
  for (const each of strip.querySelectorAll('button')) each.tabIndex = each === target ? 0 : -1;
});
element.addEventListener('keydown', (event) => {
  const all = [...(event.target.closest('[role="toolbar"]')?.querySelectorAll('button') ?? [])];
  const at = all.indexOf(event.target);
  const [on, last] = [at + 1, all.length - 1];
  const to = { ArrowRight: on, ArrowDown: on, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  all[Math.min(Math.max(to, 0), last)].focus();
});
"""

    def __init__(self, value: str = "", **kwargs: Any) -> None:
        super().__init__(value, js_on_load=self.CLICK, apply_default_css=False, **kwargs)


def class_mode_button(text: str, on: bool, **kwargs: Any) -> gr.Button:
    """Button that turns class mode on or off, in the browser (ui/static/js/class_mode.js)."""
    button = gr.Button(text, scale=0, min_width=180, **kwargs)
    button.click(None, js=f"() => window.cropExplorer?.setClassMode({json.dumps(on)})", api_visibility="private")
    return button


class ImageInput(gr.Image):
    """`gr.Image` that passes the path of the uploaded file on unopened, for the engine's own checks."""

    def get_block_name(self) -> str:
        """Name of the front end's component: the ordinary image."""
        return "image"

    def preprocess(self, payload: Any) -> str | None:
        """Path of the uploaded file, or None when there is no image."""
        return None if payload is None else payload.path


class FollowUp:
    """Follow-up question, hidden until there is an answer.

    keeps_history: whether the model reads earlier turns; if not, a note replaces the field.
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
        """Events that ask it."""
        return [self.question.submit, self.ask.click]
