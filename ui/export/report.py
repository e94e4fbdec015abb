"""Report of a run: its metadata for figures and captions, and the whole run as one HTML file that needs no network.

The page's policy lets nothing be fetched; questions and answers are text wherever they are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from crop_core.records.formatting import format_number
from crop_core.records.methods import method_of
from ui.views import scripts, texts, theme
from ui.views.rendering import TEMPLATES

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.results import Comparison, RunResult
    from ui.views.explorer_state import ExplorerState


def facts(result: Comparison) -> dict[str, str]:
    """Every fact by its name, as text; date and versions are those of the run, which old files lack."""
    rows = {
        "asked before": "; ".join(f"{question} {answer}" for question, answer in result.history),
        "question": result.question,
        "answer with every token": result.baseline.text,
        f"answer with {texts.method_name(result.method)}": result.crop.text,
        "model": result.model,
        "method": result.method,
        "budget": result.budget,
        "visual tokens": f"{format_number(result.crop.total('visual_tokens'))}, "
        f"{format_number(result.crop.total('mean_tokens'))} per layer after pruning",
        "region": "; ".join(map(region_words, result.regions)),
        **_ran(result),
    }
    return {name: text for name, text in rows.items() if text}


def facts_of_many(question: str, told: Sequence[RunResult], asked: dict[str, str]) -> dict[str, str]:
    """The same of one question asked in many ways. told: that of every token first. asked: what else was asked for."""
    full, *ways = told
    regions = [region_words(each.region) for each in ways if method_of(each.method).needs_region]
    rows = {
        "question": question,
        "answer with every token": full.text,
        "model": full.model,
        "methods": ", ".join(dict.fromkeys(each.method for each in ways)),
        "visual tokens": format_number(full.trace.visual_tokens),
        "region": "; ".join(dict.fromkeys(regions)),
        **asked,
        **_ran(full),
    }
    return {name: text for name, text in rows.items() if text}


def _ran(what: Comparison | RunResult) -> dict[str, str]:
    """Where, when, and with which versions."""
    made = dict(what.made)
    date = made.pop("date", "")
    versions = ", ".join(f"{name} {version}" for name, version in made.items())
    return {"device": what.device, "dtype": what.dtype, "date": date, "versions": versions}


def region_words(region: Region) -> str:
    """Cells, source and confidence."""
    sure = "" if region.confidence is None else f", confidence {region.confidence:.2f}"
    return f"columns {region.x0}-{region.x1}, rows {region.y0}-{region.y1} of 8x8, {region.source}{sure}"


def caption(result: Comparison, image: int = 1) -> str:
    """The same as one line under the figure of one image, counted from 1."""
    name = texts.method_name(result.method)
    found = facts(result)
    told = [
        f"“{result.question}”",
        f"every token: “{texts.quoted(result.baseline.text)}”, {name}: “{texts.quoted(result.crop.text)}”.",
        f"{result.model}, {result.method}, {result.budget}; {result.device}, {result.dtype}",
    ]
    if len(result.regions) > 1:
        told[-1] += f"; image {image} of {len(result.crop.traces)}"
    return " ".join(told) + "".join(f", {found[key]}" for key in ("date", "versions") if key in found) + "."


def page(view: ExplorerState, result: Comparison) -> bytes:
    """The file."""
    text = TEMPLATES.get_template("report_page.html").render(
        question=result.question,
        facts=facts(result),
        payload=replace(view, fixed=True).to_json(),
        explorer_css=theme.explorer_css(),
        script=scripts.bundle("report"),
    )
    return text.encode()
