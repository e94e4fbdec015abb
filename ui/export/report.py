"""Report of a run: its metadata for figures, and the whole run as one HTML file that needs no network.

The page's policy lets nothing be fetched; questions and answers are text wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crop_core.records.comparison_table import times_explained
from crop_core.records.formatting import format_number
from crop_core.records.methods import method_of
from crop_core.records.timing import time_change
from crop_core.records.verdict import agreement
from ui.views import readouts, scripts, style_sheets, texts
from ui.views.rendering import TEMPLATES

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.results import Comparison, RunResult
    from ui.views.explorer_state import ExplorerState


def facts(result: Comparison) -> dict[str, str]:
    """Metadata of a run, name -> text; date and versions are those of the run, which old files lack."""
    rows = {
        "earlier turns": "; ".join(f"{question} {answer}" for question, answer in result.history),
        "question": result.question,
        "baseline answer": result.baseline.text,
        f"answer with {texts.method_name(result.method)}": result.crop.text,
        "model": result.model,
        "method": result.method,
        "budget": result.budget,
        "seed": "" if result.seed is None else str(result.seed),
        "localizer": "" if result.localizer == "predicted" else result.localizer,
        "verdict": agreement(result),
        "visual tokens": f"{format_number(result.crop.total('visual_tokens'))}, "
        f"{format_number(result.crop.total('mean_tokens'))} per layer after pruning",
        "padding": readouts.padding_sentence(result),
        "region": method_of(result.method).no_region
        or "; ".join(region_words(each, result.unfamiliar) for each in result.regions),
        "time to first token": _times(result, "ttft_s"),
        "total time": _times(result, "total_s"),
        "times": times_explained(result),
        **environment(result),
    }
    return {name: text for name, text in rows.items() if text}


def _times(result: Comparison, name: str) -> str:
    """A time of both runs, with its range, and whether they differ measurably."""
    base, crop = (answer.cost.ranges[name] for answer in (result.baseline, result.crop))
    change = time_change(base, crop)[0]
    return f"{base} in the baseline, {crop} with {texts.method_name(result.method)}{change and f'; {change}'}"


def facts_of_many(question: str, results: Sequence[RunResult], more: dict[str, str]) -> dict[str, str]:
    """Metadata of one question in many runs. results: the baseline first. more: further entries."""
    baseline, *runs = results
    regions = [region_words(each.region) for each in runs if method_of(each.method).needs_region]
    rows = {
        "question": question,
        "baseline answer": baseline.text,
        "model": baseline.model,
        "methods": ", ".join(dict.fromkeys(each.method for each in runs)),
        "visual tokens": format_number(baseline.trace.visual_tokens),
        "region": "; ".join(dict.fromkeys(regions)),
        **more,
        **environment(baseline),
    }
    return {name: text for name, text in rows.items() if text}


def environment(result: Comparison | RunResult) -> dict[str, str]:
    """Device, dtype, date and versions."""
    made = dict(result.made)
    date = made.pop("date", "")
    versions = ", ".join(f"{name} {version}" for name, version in made.items())
    return {"device": result.device, "dtype": result.dtype, "date": date, "versions": versions}


def region_words(region: Region, is_guess: bool = False) -> str:
    """Cells, source and confidence; a guess has none."""
    confidence = "" if region.confidence is None or is_guess else f", confidence {region.confidence:.2f}"
    return f"columns {region.x0}-{region.x1}, rows {region.y0}-{region.y1} of 8x8, {region.source}{confidence}"


def page(view: ExplorerState, result: Comparison) -> bytes:
    """HTML file of the run, without the page's own hint."""
    text = TEMPLATES.get_template("report_page.html").render(
        question=result.question,
        facts=facts(result),
        payload=replace(view, fixed=True, hint="").to_json(),
        explorer_css=style_sheets.explorer_css(),
        script=scripts.bundle("report"),
        terms=scripts.terms(),
    )
    return text.encode()
