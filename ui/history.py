"""What a visitor has asked so far: the finished runs, and the strip of cards that shows one of them again."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crop_core.region import GRID
from crop_core.units import chance, number
from ui import words
from ui.thread import thread_html

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records import Comparison
    from ui.payload import View

MOST = 12  # runs that are kept for a visitor; the oldest goes first
MOST_PIXELS = 64_000_000  # of all pictures that they keep


@dataclass(frozen=True, eq=False)
class Finished:
    """One finished run: the pictures, the result, the view of it, and the settings that it was asked with.

    file: the name of the file that it was opened from, if it was.
    """

    images: tuple[Image.Image, ...]
    result: Comparison
    view: View
    settings: tuple[Any, ...] = ()
    file: str = ""

    @property
    def turns(self) -> tuple[tuple[str, str], ...]:
        """The thread up to this run: every question with its answer, as a follow-up is told."""
        return *self.result.history, (self.result.question, self.result.baseline.text)

    def same_pictures(self, other: Finished) -> bool:
        """Whether both are about the same pictures, and both were asked here or both opened from files."""
        return bool(self.file) == bool(other.file) and self.view.pictures == other.view.pictures

    def maps(self) -> str:
        """The region in every picture."""
        return "".join(region_map(trace.region.grid) for trace in self.result.crop.traces)


@dataclass(frozen=True, eq=False)
class History:
    """runs: oldest first, at most MOST. at: the one that is shown. Never changed in place, never shared."""

    runs: tuple[Finished, ...] = ()
    at: int = -1

    @property
    def shown(self) -> Finished | None:
        """The run that is on screen."""
        return self.runs[self.at] if self.runs else None

    def add(self, run: Finished) -> History:
        """With one more run, which is shown; runs about the same pictures share them."""
        same = next((old for old in self.runs if old.same_pictures(run)), None)
        if same is not None:
            run = replace(run, images=same.images, view=replace(run.view, pictures=same.view.pictures))
        runs = (*self.runs, run)[-MOST:]
        while len(runs) > 1 and _pixels(runs) > MOST_PIXELS:
            runs = runs[1:]
        return History(runs, len(runs) - 1)

    def choose(self, index: object) -> History:
        """With another run shown; an index that is none (it comes from the browser) changes nothing."""
        return History(self.runs, index) if type(index) is int and 0 <= index < len(self.runs) else self


def _pixels(runs: tuple[Finished, ...]) -> int:
    pictures = {id(image): image.width * image.height for run in runs for image in run.images}
    return sum(pictures.values())


CARD = """<div role="listitem"><button type="button" class="run-card" data-index="{index}" aria-current="{current}">
{maps}<span><b>{answer}</b><small>{probability}</small><small>{how}</small></span></button></div>"""


def strip_html(history: History) -> str:
    """The thread of the shown run, and a card for every run of its pictures and question, or for every one that was
    opened, newest first; nothing of either that has one entry alone.
    """
    return thread_html(history) + _cards(history)


def _cards(history: History) -> str:
    shown = history.shown
    alike = [at for at, run in enumerate(history.runs) if shown and _belong(run, shown)]
    if len(alike) < 2:
        return ""
    cards = "".join(_card(history, at) for at in reversed(alike))
    title = "Opened" if shown and shown.file else "Asked so far"
    return f'<h2 class="side-title">{title}</h2><div class="run-strip" role="list">{cards}</div>'


def _belong(run: Finished, other: Finished) -> bool:
    """Whether they are shown together."""
    if run.file or other.file:
        return bool(run.file and other.file)
    said = [(each.result.question, each.result.history) for each in (run, other)]
    return run.same_pictures(other) and said[0] == said[1]


def _card(history: History, at: int) -> str:
    run = history.runs[at]
    result = run.result
    baseline = result.baseline
    kept = words.joint(baseline.tokens, "other_logprob")
    return CARD.format(
        index=at,
        current="true" if at == history.at else "false",
        maps=run.maps(),
        answer=html.escape(words.quoted(result.crop.text)) or "(nothing)",
        probability=html.escape(f"gives “{words.quoted(baseline.text)}” {chance(kept)}"),
        how=html.escape(
            f"{words.method_name(result.method)} · {number(result.crop.total('mean_tokens'))} tokens · "
            f"{run.file or result.region.source}"
        ),
    )


def region_map(grid: tuple[int, int, int, int]) -> str:
    """Inclusive grid cells as a small picture."""
    x0, y0, x1, y1 = grid
    return (
        f'<svg class="run-map" viewBox="0 0 {GRID} {GRID}" aria-hidden="true">'
        f'<rect width="{GRID}" height="{GRID}"/><rect class="run-region" x="{x0}" y="{y0}" '
        f'width="{x1 - x0 + 1}" height="{y1 - y0 + 1}"/></svg>'
    )
