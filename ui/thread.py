"""Questions that follow one another about the same pictures, as a list in which each can be shown again."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from ui import words

if TYPE_CHECKING:
    from ui.history import Finished, History

TURN = """<li><button type="button" class="run-card" data-index="{index}" aria-current="{current}">
{maps}<span><b>{question}</b><small>every token: {baseline}</small><small>{name}: {crop}</small></span></button></li>"""
FORGOTTEN = """<li><div class="run-card"><span><b>{question}</b><small>every token: {baseline}</small>
<small>no longer kept</small></span></div></li>"""


def thread_html(history: History) -> str:
    """The thread of the shown run, oldest turn first; nothing where its question stands alone."""
    shown = history.shown
    if shown is None:
        return ""
    turns = longest(history, shown)
    if len(turns) < 2:
        return ""
    items = [_item(history, turns[: count + 1]) for count in range(len(turns))]
    return f'<h2 class="side-title">This conversation</h2><ol class="thread">{"".join(items)}</ol>'


def longest(history: History, shown: Finished) -> tuple[tuple[str, str], ...]:
    """The turns of the shown run and of the latest run that goes on from it."""
    after = [run.turns for run in history.runs if run.same_pictures(shown) and _starts(run.turns, shown.turns)]
    return after[-1] if after else shown.turns


def _starts(turns: tuple[tuple[str, str], ...], beginning: tuple[tuple[str, str], ...]) -> bool:
    return turns[: len(beginning)] == beginning


def place(history: History, turns: tuple[tuple[str, str], ...]) -> int | None:
    """Where the run is that ends these turns: the shown one, or the latest; None when it is no longer kept."""
    shown = history.shown
    found = [at for at, run in enumerate(history.runs) if shown and run.same_pictures(shown) and run.turns == turns]
    return history.at if history.at in found else found[-1] if found else None


def _item(history: History, turns: tuple[tuple[str, str], ...]) -> str:
    question, answer = (html.escape(text) or "(nothing)" for text in turns[-1])
    at = place(history, turns)
    if at is None:
        return FORGOTTEN.format(question=question, baseline=answer)
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
