"""Comparison as a table for the terminal. Reads records only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from crop_core.records import formatting
from crop_core.records.methods import method_of
from crop_core.records.region import Region
from crop_core.records.results import Answer, Comparison
from crop_core.records.trace import TokenTrace

Row = tuple[str, ...]  # name, baseline, method, change


def comparison_table(result: Comparison) -> str:
    """Question, region, both answers with their costs, and the notices; several lines, no line end."""
    head = [
        ("Question", result.question),
        ("Model", f"{result.model} on {result.device}, {result.dtype}"),
        *((f"Region{which}", _region(trace.region)) for which, trace in _images(result)),
        ("Method", f"{result.method}, budget {result.budget}"),
        ("Baseline", _answer(result.baseline)),
        (method_of(result.method).title, _answer(result.crop)),
        ("Verdict", f"{'same answer' if result.same else 'answer changed'}, first token KL {result.kl_first:.2g} nats"),
    ]
    rows = [("", "baseline", method_of(result.method).title, ""), *_tokens(result), *_costs(result)]
    lines = [*columns(head), "", *columns(rows)]
    return "\n".join([*lines, *(f"Note: {line}" for line in _notes(result))])


def columns(rows: Sequence[Row]) -> list[str]:
    """Rows of equally many texts as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _images(result: Comparison) -> list[tuple[str, TokenTrace]]:
    """Suffix of an image's labels, and its trace."""
    traces = result.crop.traces
    return [(f" {number}" if len(traces) > 1 else "", trace) for number, trace in enumerate(traces, 1)]


def _region(region: Region) -> str:
    x0, y0, x1, y1 = region.grid
    confidence = "" if region.confidence is None else f", confidence {formatting.format_probability(region.confidence)}"
    pixels = ",".join(f"{value:.0f}" for value in region.box)
    return f"columns {x0}-{x1}, rows {y0}-{y1} of the grid; pixels {pixels}; {region.source}{confidence}"


def _answer(answer: Answer) -> str:
    probability = math.exp(sum(token.logprob for token in answer.tokens))
    return f"{answer.text} (probability {formatting.format_probability(probability)})"


def _tokens(result: Comparison) -> list[Row]:
    total = result.crop.total
    return [
        _row("Visual tokens, mean", formatting.format_number, total("visual_tokens"), total("mean_tokens")),
        _row("  into the LLM", formatting.format_number, total("visual_tokens"), total("input_tokens")),
        _row("  after the last cut", formatting.format_number, total("visual_tokens"), total("final_tokens")),
    ]


def _costs(result: Comparison) -> list[Row]:
    """Rows of cost; CROP's include the localizer's."""
    base, crop = result.baseline.cost, result.crop.cost
    weights = crop.weights_bytes + crop.localizer_weights_bytes
    work = crop.flops + crop.localizer_flops
    return [
        _row("Time to first token", formatting.format_seconds, base.ttft_s, crop.ttft_s),
        ("  of it localizer", "", formatting.format_seconds(crop.localizer_s), ""),
        ("  of it PLC and scoring", "", formatting.format_seconds(crop.compression_s + crop.scoring_s), ""),
        _row("Total time", formatting.format_seconds, base.total_s, crop.total_s),
        _row("KV cache", formatting.format_bytes, base.kv_bytes, crop.kv_bytes),
        _row("Peak above weights", formatting.format_bytes, base.peak_bytes, crop.peak_bytes),
        _row("Weights", formatting.format_bytes, base.weights_bytes, weights),
        _row("Work to first token", formatting.format_flops, base.flops, work),
    ]


def _row(name: str, unit: Callable[[float], str], base: float, crop: float) -> Row:
    return (name, unit(base), unit(crop), _change(base, crop))


def _change(base: float, crop: float) -> str:
    return f"{100 * (crop - base) / base:+.1f} %" if base > 0 else ""


def _notes(result: Comparison) -> list[str]:
    unknown = ", ".join(result.unknown_words)
    warning = [f"The model does not know {unknown}: its answer is a guess."] if unknown else []
    return [*result.notices, *warning]
