"""History of a visitor: the finished runs, and the strip of cards that selects one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crop_core.records.formatting import format_number, format_probability
from crop_core.records.methods import method_of
from crop_core.records.verdict import joint
from ui.views import texts
from ui.views.rendering import Card, render

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.attention import Attention
    from crop_core.records.request import EngineRequest
    from crop_core.records.results import Comparison, RunResult, StreamEvent
    from crop_core.records.timing import Measured
    from ui.views.explorer_state import ExplorerState

MAX_RUNS = 12  # kept for a visitor; the oldest goes first
MAX_PIXELS = 64_000_000  # of all their images
MAX_TRIED = 8  # choices of tokens that are shown with a run
NOTHING = "(nothing)"  # stands for an empty answer
Turns = tuple[tuple[str, str], ...]  # questions and their baseline answers, oldest first


@dataclass(eq=False)
class FinishedRun:
    """Finished run: images, result, view and settings; `measure` adds the times to result and view in place.

    request: what it was asked by, for measuring it again; None for an opened one. file: name of the file that it was
    opened from, if any. to_measure: whether its runs are to be measured, or are being measured.
    """

    images: tuple[Image.Image, ...]
    result: Comparison
    view: ExplorerState
    settings: tuple[Any, ...] = ()
    file: str = ""
    request: EngineRequest[StreamEvent] | None = None
    to_measure: bool = False

    @property
    def turns(self) -> Turns:
        """The thread up to this run: every question with its answer, as a follow-up's prompt has it."""
        return *self.result.history, (self.result.question, self.result.baseline.text)

    def measure(self, measured: Measured) -> ExplorerState:
        """Add what was measured, unless more was measured before; returns the view for as long as it goes on.

        In place, so that it stays the run's whatever comes on screen meanwhile.
        """
        view = self.view.measured(measured)
        assert view.result is not None  # noqa: S101  it is finished
        self.result, self.view = view.result, view.ended()
        return view

    def looked(self, found: Sequence[Attention]) -> ExplorerState:
        """Add where one of its runs looked, in place; returns the view."""
        self.view = self.view.looked(found)
        self.result = self.view.result or self.result
        return self.view

    def tried(self, result: RunResult) -> ExplorerState:
        """Add what came of tokens that were chosen by hand, in place; returns the view."""
        self.view = replace(self.view, tried=(result, *self.view.tried)[:MAX_TRIED])
        return self.view

    def same_images(self, other: FinishedRun) -> bool:
        """Whether both have the same images, and both were run here or both opened from files."""
        return bool(self.file) == bool(other.file) and self.view.images == other.view.images

    def repeated_by(self, other: FinishedRun) -> bool:
        """Whether the other run asked the same of the same images, with the same settings and answers."""
        same = [(each.turns, each.settings, each.regions, each.result.crop.text) for each in (self, other)]
        return not self.file and self.same_images(other) and same[0] == same[1]

    @property
    def regions(self) -> tuple[tuple[int, int, int, int], ...]:
        """Region in every image, as inclusive grid cells; none where the method reads none."""
        reads = method_of(self.result.method).needs_region
        return tuple(trace.region.grid for trace in self.result.crop.traces) if reads else ()


@dataclass(frozen=True, eq=False)
class History:
    """runs: oldest first, at most MAX_RUNS. at: index of the one that is shown. Immutable, but for what is measured."""

    runs: tuple[FinishedRun, ...] = ()
    at: int = -1

    @property
    def shown(self) -> FinishedRun | None:
        """Run on screen."""
        return self.runs[self.at] if self.runs else None

    @property
    def thread(self) -> Turns:
        """Turns of the shown run's thread, earlier and later ones; empty without a run."""
        shown = self.shown
        if shown is None:
            return ()
        onward = [run.turns for run in self.runs if run.same_images(shown)]
        return max((turns for turns in onward if turns[: len(shown.turns)] == shown.turns), key=len)

    def add(self, run: FinishedRun) -> History:
        """History with one more run, which is shown, in place of one that asked the very same and has the same answers;
        runs on the same images share them.
        """
        same = next((old for old in self.runs if old.same_images(run)), None)
        if same is not None:
            request = run.request and replace(run.request, images=same.images)
            view = replace(run.view, images=same.view.images)
            run = replace(run, images=same.images, view=view, request=request)
        runs = (*(old for old in self.runs if not old.repeated_by(run)), run)[-MAX_RUNS:]
        while len(runs) > 1 and _pixels(runs) > MAX_PIXELS:
            runs = runs[1:]
        return History(runs, len(runs) - 1)

    def choose(self, index: object) -> History:
        """History with another run shown, which is not measured by itself; an invalid index (it comes from the browser)
        changes nothing.
        """
        if type(index) is not int or not 0 <= index < len(self.runs):
            return self
        self.leave()
        return History(self.runs, index)

    def leave(self) -> bool:
        """End the measurement of the run on screen, wherever it is; returns whether one was due or under way."""
        due = any(run.to_measure for run in self.runs)
        for run in self.runs:
            run.to_measure = False
        return due


def _pixels(runs: tuple[FinishedRun, ...]) -> int:
    sizes = {id(image): image.width * image.height for run in runs for image in run.images}
    return sum(sizes.values())


def strip_html(history: History) -> str:
    """Thread of the shown run, and a card for every run of its images and question, or for every opened one.

    Newest first; either part is empty when it has a single entry.
    """
    shown = history.shown
    related = [at for at, run in enumerate(history.runs) if shown and _belong(run, shown)]
    cards = [_run_card(history, at) for at in reversed(related)]
    title = "Opened" if shown and shown.file else "Runs so far"
    return thread_html(history) + (render("run_strip", title, cards) if len(cards) > 1 else "")


def thread_html(history: History) -> str:
    """Thread of the shown run, oldest turn first; empty for a single turn."""
    turns = history.thread
    cards = [_turn_card(history, turns[: count + 1]) for count in range(len(turns))]
    return render("thread", cards) if len(cards) > 1 else ""


def _belong(run: FinishedRun, other: FinishedRun) -> bool:
    """Whether two runs are shown together."""
    if run.file or other.file:
        return bool(run.file and other.file)
    turns = [(each.result.question, each.result.history) for each in (run, other)]
    return run.same_images(other) and turns[0] == turns[1]


def _run_card(history: History, at: int) -> Card:
    run, result = history.runs[at], history.runs[at].result
    kept = joint(result.baseline.tokens, "other_logprob")
    tokens = format_number(result.crop.total("mean_tokens"))
    region = result.region.source if method_of(result.method).needs_region else "no region"
    lines = (
        f"“{texts.quoted(result.baseline.text)}” is {format_probability(kept)} likely",
        f"{texts.method_name(result.method)} · {tokens} tokens · {run.file or region}",
    )
    title = texts.quoted(result.crop.text) or NOTHING
    return Card(at, title, lines, regions=run.regions, current=at == history.at)


def _turn_card(history: History, turns: Turns) -> Card:
    """Card of the last of these turns, from the run that ends them: the shown one, the latest, or none kept."""
    question, baseline = (text or NOTHING for text in turns[-1])
    shown = history.shown
    indices = [at for at, run in enumerate(history.runs) if shown and run.same_images(shown) and run.turns == turns]
    at = history.at if history.at in indices else max(indices, default=None)
    line = f"Baseline: {baseline}"
    if at is None:
        return Card(None, question, (line, "not in the opened files" if shown and shown.file else "no longer kept"))
    run = history.runs[at]
    pruned = f"{texts.method_name(run.result.method)}: {run.result.crop.text or NOTHING}"
    return Card(at, question, (line, pruned), regions=run.regions, current=at == history.at)
