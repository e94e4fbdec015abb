"""The tab *Explore*: the explorer, earlier runs and a follow-up question, the answer map, exports."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.page.components import ExplorerView, FollowUp, Strip
from ui.page.export_panel import open_part, publish_part
from ui.page.save_figure import SaveFigure
from ui.page.sweep_widgets import buttons, run
from ui.page.tabs import TabContext
from ui.views.history import History
from ui.views.qr_code import qr_html

TITLE, ORDER = "Explore", 10
FORGET_AFTER = 3600  # seconds for which a visitor's latest result can be downloaded
SHOWN = """(query) => {
  const app = location.origin + location.pathname;
  const link = query && !query.startsWith('http') ? `${app}?${query}` : query;
  if (link === query && query) return [link, { __type__: 'update' }, { __type__: 'update' }];
  window.cropExplorer?.showRun(query);
  const source = `${link.replaceAll('&', '&amp;')}&amp;embed=1`;
  const frame = `<iframe src="${source}" width="100%" height="1700" title="CROP Explorer"></iframe>`;
  const element = `<script type="module" src="${app}gradio.js"><\\/script>\n<gradio-app src="${app}"></gradio-app>`;
  return [link, link && frame, link && element];
}"""  # in the page's address too
EMBED_HELP = "For a web page on this host, or on one that the operator allows. It shows the run alone."
ELEMENT_HELP = "For a web page on any host: the whole app as it opens, inside the page, without a frame."
NO_LINK = (
    "Only first questions about examples have a link by themselves. To share this run, download its report (HTML), or "
    "run and trace (JSON), below; put on the web, that file opens by this page's address with ?run= and the file's."
)
PLACES_INTRO = (
    "Slides the region, in its predicted or drawn size, over all 64 cells, and keeps only the tokens inside: bright "
    "cells are where the model still gives the baseline's answer. The frame is the region in its own place."
)


def build(page: TabContext) -> dict[str, Any]:
    """Build the tab; returns the widgets that the handlers change."""
    explorer = ExplorerView(value=page.opening, elem_id="explorer")
    runs = Strip("", elem_id="runs")
    link = gr.Textbox(
        "",
        label="Link to this run",
        visible=False,
        interactive=False,
        max_lines=1,
        buttons=["copy"],
        elem_id="link",
    )
    embed = gr.Textbox(
        "",
        label="Code that embeds it",
        info=EMBED_HELP,
        visible=False,
        interactive=False,
        max_lines=2,
        buttons=["copy"],
        elem_id="embed",
    )
    element = gr.Textbox(
        "",
        label="Code of the whole app",
        info=ELEMENT_HELP,
        visible=False,
        interactive=False,
        max_lines=2,
        buttons=["copy"],
        elem_id="element",
    )
    link.change(None, [link], [link, embed, element], js=SHOWN, api_visibility="private")
    no_link = gr.Markdown(NO_LINK, visible=False, elem_id="no-link")
    code = gr.HTML("", elem_id="qr-code", apply_default_css=False)
    link.change(qr_html, link, code, api_visibility="private", show_progress="hidden", queue=False)
    history = gr.State(History(), time_to_live=FORGET_AFTER)
    follow = FollowUp(page.sweeps.engine.keeps_history)
    _answer_map(page)
    outputs = {
        "explorer": explorer,
        "runs": runs,
        "link": link,
        "embed": [embed, element],
        "no_link": no_link,
        "history": history,
        "follow": follow,
    }
    return {**outputs, "publish": publish_part(), "open": open_part()}


def _answer_map(page: TabContext) -> None:
    with gr.Accordion("Where does the answer live?", open=False, elem_id="places"):
        gr.Markdown(PLACES_INTRO)
        start, stop, status = buttons("Slide the region", "places")
        figure = gr.Plot(show_label=False, elem_id="answer-map")
        save = SaveFigure("map", width=8.5)
    run(start, stop, page.sweeps.places, [*page.inputs], [figure, save.export, page.note, status], save, page.model)
