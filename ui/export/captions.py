"""Captions: what a figure shows and what was answered, in sentences for a paper; provenance is in the metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crop_core.records.config import AS_GIVEN
from crop_core.records.formatting import counted, format_number
from ui.views import texts

if TYPE_CHECKING:
    from crop_core.records.results import Comparison, RunResult
    from crop_core.records.sheet import Sheet


def comparison_caption(result: Comparison, shows: str, image: int = 1, layer: int | None = None) -> str:
    """Caption of a figure of one run. shows: a row's `FigureKind.caption`. image: counted from 1."""
    trace = result.crop.traces[image - 1]
    what = shows.format(
        question=quoted(result.question),
        tokens=trace.visual_tokens,
        kept=trace.input_tokens,
        layer=trace.layers - 1 if layer is None else layer,
        layers=counted(trace.layers, "layer"),
        model=result.model,
        device=f"{result.device}, {result.dtype}",
    )
    which = f" (image {image} of {len(result.regions)})" if len(result.regions) > 1 else ""
    return f"{what}{which}. {_answers(result)}"


def _answers(result: Comparison) -> str:
    """What both runs answered."""
    name, tokens = texts.method_name(result.method), format_number(result.baseline.total("visual_tokens"))
    by = f"with the {result.budget}" if result.budget == AS_GIVEN else f"at {result.budget}"
    guess = " The image is unlike those that the model was trained on: both answers are guesses." * result.unfamiliar
    if result.same:
        return f"{result.model} answers {quoted(result.crop.text)} with {name} {by}, as with all {tokens}.{guess}"
    changed = f"{quoted(result.crop.text)} with {name} {by}, and {quoted(result.baseline.text)} with all {tokens}"
    return f"{result.model} answers {changed}.{guess}"


def methods_caption(question: str, results: Sequence[RunResult], budget: str, what: str = "each method") -> str:
    """Caption of several methods at one budget. what: the runs, in words."""
    return (
        f"What {what} keeps of the {results[0].trace.visual_tokens} visual tokens of {results[0].model} "
        f"{at_budget(budget)}, for the question {quoted(question)}. {READ_AS}"
    )


def sheet_caption(sheet: Sheet) -> str:
    """Caption of a comparison sheet."""
    first = sheet.rows[0].results[0]
    return (
        f"{counted(len(sheet.rows), 'image')} with a question each: what every method keeps of the visual tokens of "
        f"{first.model} {at_budget(sheet.budget)}. {READ_AS}"
    )


READ_AS = (
    "Clear tokens are read in every layer; the earlier a token is pruned, the paler it is; outlined ones are pooled. "
    "Below each: its answer, marked by a cross where it is not the baseline's; the probability of the baseline's "
    "answer; and the mean number of visual tokens per layer."
)


def at_budget(budget: str) -> str:
    """Budget of several runs as part of a sentence; budget: as `Sheet.budget`."""
    if budget == AS_GIVEN:
        return f"with the {budget}"
    return f"at a mean budget of {budget.replace(' tokens', '')}{' of them' if '%' in budget else ''} per layer"


def budgets_caption(question: str, results: Sequence[RunResult]) -> str:
    """Caption of an answer against the budget."""
    return (
        f"Probability of the answer {quoted(results[0].text)} that {results[0].model} gives to {quoted(question)} with "
        f"all {results[0].trace.visual_tokens} visual tokens (above), and work up to the first token (below), against "
        "the mean number of visual tokens per layer. A cross marks a different answer."
    )


def map_caption(question: str, results: Sequence[RunResult], size: str) -> str:
    """Caption of an answer against the place of the region. size: of the region in cells, such as 3x2."""
    return (
        f"Probability of the answer {quoted(results[0].text)} that {results[0].model} gives to {quoted(question)} when "
        f"only the tokens of a region of {size} cells are kept, centred on each cell of the 8x8 grid. Framed: "
        "the region in its own place."
    )


def quoted(text: str) -> str:
    """A question or an answer in a sentence."""
    return f"“{texts.quoted(text)}”"
