"""What a visitor has asked so far: the finished runs, and the strip of cards that shows one of them again."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crop_core.region import GRID
from crop_core.units import chance, number
from ui import words

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records import Comparison
    from ui.payload import View

MOST = 12  # runs that are kept for a visitor; the oldest goes first
MOST_PIXELS = 64_000_000  # of all pictures that they keep


@dataclass(frozen=True, eq=False)
class Finished:
    """One finished run: the picture, the result, the view of it, and the settings that it was asked with.

    file: the name of the file that it was opened from, if it was.
    """

    image: Image.Image
    result: Comparison
    view: View
    settings: tuple[Any, ...] = ()
    file: str = ""


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
        """With one more run, which is shown; runs about the same picture share it."""
        same = next((old for old in self.runs if old.view.image == run.view.image), None)
        if same is not None:
            run = replace(run, image=same.image, view=replace(run.view, image=same.view.image))
        runs = (*self.runs, run)[-MOST:]
        while len(runs) > 1 and _pixels(runs) > MOST_PIXELS:
            runs = runs[1:]
        return History(runs, len(runs) - 1)

    def choose(self, index: object) -> History:
        """With another run shown; an index that is none (it comes from the browser) changes nothing."""
        return History(self.runs, index) if type(index) is int and 0 <= index < len(self.runs) else self


def _pixels(runs: tuple[Finished, ...]) -> int:
    pictures = {id(run.image): run.image.width * run.image.height for run in runs}
    return sum(pictures.values())


CARD = """<div role="listitem"><button type="button" class="run-card" data-index="{index}" aria-current="{current}">
{map}<span><b>{answer}</b><small>{probability}</small><small>{how}</small></span></button></div>"""


def strip_html(history: History) -> str:
    """A card for every run of the shown picture and question, or for every one that was opened, newest first; nothing
    while there is one alone.
    """
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
    return run.view.image == other.view.image and run.result.question == other.result.question


def _card(history: History, at: int) -> str:
    result = history.runs[at].result
    baseline = result.baseline
    kept = words.joint(baseline.tokens, "other_logprob")
    return CARD.format(
        index=at,
        current="true" if at == history.at else "false",
        map=region_map(result.region.grid),
        answer=html.escape(result.crop.text) or "(nothing)",
        probability=html.escape(f"gives “{words.quoted(baseline.text)}” {chance(kept)}"),
        how=html.escape(
            f"{words.method_name(result.method)} · {number(result.crop.total('mean_tokens'))} tokens · "
            f"{history.runs[at].file or result.region.source}"
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
