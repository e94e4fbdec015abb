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
    """Metadata of a run, name -> text; date and versions are those of the run, which old files lack."""
    rows = {
        "asked before": "; ".join(f"{question} {answer}" for question, answer in result.history),
        "question": result.question,
        "baseline answer": result.baseline.text,
        f"answer with {texts.method_name(result.method)}": result.crop.text,
        "model": result.model,
        "method": result.method,
        "budget": result.budget,
        "visual tokens": f"{format_number(result.crop.total('visual_tokens'))}, "
        f"{format_number(result.crop.total('mean_tokens'))} per layer after pruning",
        "region": "; ".join(map(region_words, result.regions)),
        **_environment(result),
    }
    return {name: text for name, text in rows.items() if text}


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
        **_environment(baseline),
    }
    return {name: text for name, text in rows.items() if text}


def _environment(result: Comparison | RunResult) -> dict[str, str]:
    """Device, dtype, date and versions."""
    made = dict(result.made)
    date = made.pop("date", "")
    versions = ", ".join(f"{name} {version}" for name, version in made.items())
    return {"device": result.device, "dtype": result.dtype, "date": date, "versions": versions}


def region_words(region: Region) -> str:
    """Cells, source and confidence."""
    confidence = "" if region.confidence is None else f", confidence {region.confidence:.2f}"
    return f"columns {region.x0}-{region.x1}, rows {region.y0}-{region.y1} of 8x8, {region.source}{confidence}"


def caption(result: Comparison, image: int = 1) -> str:
    """Caption under the figure of one image, counted from 1."""
    name = texts.method_name(result.method)
    metadata = facts(result)
    parts = [
        f"“{result.question}”",
        f"Baseline: “{texts.quoted(result.baseline.text)}”, {name}: “{texts.quoted(result.crop.text)}”.",
        f"{result.model}, {result.method}, {result.budget}; {result.device}, {result.dtype}",
    ]
    if len(result.regions) > 1:
        parts[-1] += f"; image {image} of {len(result.crop.traces)}"
    return " ".join(parts) + "".join(f", {metadata[key]}" for key in ("date", "versions") if key in metadata) + "."


def page(view: ExplorerState, result: Comparison) -> bytes:
    """HTML file of the run."""
    text = TEMPLATES.get_template("report_page.html").render(
        question=result.question,
        facts=facts(result),
        payload=replace(view, fixed=True).to_json(),
        explorer_css=theme.explorer_css(),
        script=scripts.bundle("report"),
    )
    return text.encode()
