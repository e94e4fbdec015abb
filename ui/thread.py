"""Questions that follow one another about the same pictures, as a list in which each can be shown again."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ui import words

if TYPE_CHECKING:
    from ui.history import History

Turns = tuple[tuple[str, str], ...]  # questions and their answers with every token, oldest first
TURN = """<li><button type="button" class="run-card" data-index="{index}" aria-current="{current}">
{maps}<span><b>{question}</b><small>every token: {baseline}</small><small>{name}: {crop}</small></span></button></li>"""
FORGOTTEN = """<li><div class="run-card"><span><b>{question}</b><small>every token: {baseline}</small>
<small>{why}</small></span></div></li>"""


def thread_html(history: History) -> str:
    """The thread of the shown run, oldest turn first; nothing where its question stands alone."""
    turns = thread(history)
    if len(turns) < 2:
        return ""
    items = [_item(history, turns[: count + 1]) for count in range(len(turns))]
    return f'<h2 class="side-title">This conversation</h2><ol class="thread">{"".join(items)}</ol>'


def thread(history: History) -> Turns:
    """The shown run's question and answer, with those before it and those that followed; empty without a run."""
    shown = history.shown
    if shown is None:
        return ()
    onward = [run.turns for run in history.runs if run.same_pictures(shown)]
    return max((turns for turns in onward if turns[: len(shown.turns)] == shown.turns), key=len)


def _place(history: History, turns: Turns) -> int | None:
    """Where the run is that ends these turns: the shown one, or the latest; None when it is no longer kept."""
    shown = history.shown
    found = [at for at, run in enumerate(history.runs) if shown and run.same_pictures(shown) and run.turns == turns]
    return history.at if history.at in found else max(found, default=None)


def _item(history: History, turns: Turns) -> str:
    question, answer = (html.escape(text) or "(nothing)" for text in turns[-1])
    at = _place(history, turns)
    if at is None:
        why = "in no file that was opened" if history.shown and history.shown.file else "no longer kept"
        return FORGOTTEN.format(question=question, baseline=answer, why=why)
    run = history.runs[at]
    return TURN.format(
        index=at,
        current="true" if at == history.at else "false",
        maps=run.maps(),
        question=question,
        baseline=answer,
        name=html.escape(words.method_name(run.result.method)),
        crop=html.escape(run.result.crop.text) or "(nothing)",
    )
