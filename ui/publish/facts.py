"""What a figure's caption has to say of its run: question, answers, model, method, budget, region, device, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crop_core.units import number
from ui import words

if TYPE_CHECKING:
    from crop_core.records import Comparison
    from crop_core.region import Region


def facts(result: Comparison) -> dict[str, str]:
    """Every fact by its name, as text; date and versions are those of the run, which old files lack."""
    made = dict(result.made)
    date = made.pop("date", "")
    rows = {
        "asked before": "; ".join(f"{question} {answer}" for question, answer in result.history),
        "question": result.question,
        "answer with every token": result.baseline.text,
        f"answer with {words.method_name(result.method)}": result.crop.text,
        "model": result.model,
        "method": result.method,
        "budget": result.budget,
        "visual tokens": f"{number(result.crop.total('visual_tokens'))}, "
        f"{number(result.crop.total('mean_tokens'))} per layer after pruning",
        "region": "; ".join(map(region_words, [result.region, *(trace.region for trace in result.crop.others)])),
        "device": result.device,
        "dtype": result.dtype,
        "date": date,
        "versions": ", ".join(f"{name} {version}" for name, version in made.items()),
    }
    return {name: text for name, text in rows.items() if text}


def region_words(region: Region) -> str:
    """Cells, source and confidence."""
    sure = "" if region.confidence is None else f", confidence {region.confidence:.2f}"
    return f"columns {region.x0}-{region.x1}, rows {region.y0}-{region.y1} of 8x8, {region.source}{sure}"


def caption(result: Comparison, image: int = 1) -> str:
    """The same as one line under the figure of one image, counted from 1."""
    name = words.method_name(result.method)
    found = facts(result)
    told = [
        f"“{result.question}”",
        f"every token: “{words.quoted(result.baseline.text)}”, {name}: “{words.quoted(result.crop.text)}”.",
        f"{result.model}, {result.method}, {result.budget}; {result.device}, {result.dtype}",
    ]
    if result.crop.others:
        told[-1] += f"; image {image} of {len(result.crop.traces)}"
    return " ".join(told) + "".join(f", {found[key]}" for key in ("date", "versions") if key in found) + "."
