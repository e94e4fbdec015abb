"""Comparison as a table for the terminal. Reads records only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crop_core.records import formatting
from crop_core.records.cost import Cost
from crop_core.records.methods import method_of
from crop_core.records.region import Region
from crop_core.records.results import Answer, Comparison
from crop_core.records.saving import localizer_notices
from crop_core.records.timing import NOT_MEASURED, Spread, time_change
from crop_core.records.trace import TokenTrace
from crop_core.records.verdict import agreement, is_long, joint

Row = tuple[str, ...]  # name, baseline, method, change


def comparison_table(result: Comparison) -> str:
    """Question, region, both answers with their costs, and the notices; several lines, no line end."""
    head = [
        ("Question", result.question),
        ("Model", f"{result.model} on {result.device}, {result.dtype}"),
        *_regions(result),
        ("Method", f"{result.method}, budget {result.budget}"),
        ("Baseline", _answer(result.baseline)),
        (method_of(result.method).title, _answer(result.crop)),
        ("Verdict", f"{agreement(result)}, first token KL {result.kl_first:.2g} nats"),
    ]
    rows = [("", "baseline", method_of(result.method).title, ""), *_tokens(result), *_exact(result), *_measured(result)]
    lines = [*columns(head), "", *columns(rows), "", times_explained(result)]
    return "\n".join([*lines, *(f"Note: {line}" for line in _notes(result))])


def columns(rows: Sequence[Row]) -> list[str]:
    """Rows of equally many texts as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _images(result: Comparison) -> list[tuple[str, TokenTrace]]:
    """Suffix of an image's labels, and its trace."""
    traces = result.crop.traces
    return [(f" {number}" if len(traces) > 1 else "", trace) for number, trace in enumerate(traces, 1)]


def _regions(result: Comparison) -> list[Row]:
    """The region of every image with what led to it, or that none is read."""
    if sentence := method_of(result.method).no_region:
        return [("Region", sentence.removesuffix("."))]
    rows: list[Row] = [(f"Region{which}", _region(trace.region, result.unfamiliar)) for which, trace in _images(result)]
    whys = ((which, trace.explanation) for which, trace in _images(result))
    return [*rows, *((f"Found by{which}", why.describe()) for which, why in whys if why is not None)]


def _region(region: Region, is_guess: bool) -> str:
    x0, y0, x1, y1 = region.grid
    known = None if is_guess else region.confidence
    confidence = "" if known is None else f", confidence {formatting.format_probability(known)}"
    pixels = ",".join(f"{value:.0f}" for value in region.box)
    return f"columns {x0}-{x1}, rows {y0}-{y1} of the grid; pixels {pixels}; {region.source}{confidence}"


def _answer(answer: Answer) -> str:
    return f"{answer.text} (probability {formatting.format_probability(joint(answer.tokens, 'logprob'))})"


def _tokens(result: Comparison) -> list[Row]:
    total, padding = result.crop.total, result.crop.total("padding_tokens")
    share = [("  of them padding", formatting.format_number(padding), "", "")] if padding else []
    return [
        _row("Visual tokens, mean", formatting.format_number, total("visual_tokens"), total("mean_tokens")),
        *share,
        _row("  into the LLM", formatting.format_number, total("visual_tokens"), total("input_tokens")),
        _row("  after the last cut", formatting.format_number, total("visual_tokens"), total("final_tokens")),
    ]


def _exact(result: Comparison) -> list[Row]:
    """Rows of exact costs; CROP's include the localizer's."""
    base, crop = result.baseline.cost, result.crop.cost
    weights = crop.weights_bytes + crop.localizer_weights_bytes
    return [
        _row("KV cache", formatting.format_bytes, base.kv_bytes, crop.kv_bytes),
        _work(base, crop),
        _row("Weights", formatting.format_bytes, base.weights_bytes, weights),
    ]


def _measured(result: Comparison) -> list[Row]:
    """Rows of measured costs; CROP's include the localizer's."""
    base, crop = result.baseline.cost, result.crop.cost
    rows = [
        _time_row("Time to first token", base.ranges["ttft_s"], crop.ranges["ttft_s"]),
        ("  of it localizer", "", formatting.format_seconds(crop.localizer_s), ""),
        ("  of it PLC and scoring", "", formatting.format_seconds(crop.compression_s + crop.scoring_s), ""),
        _total_time(base, crop),
        *_token_time(result),
    ]
    if NOT_MEASURED in (base.peak_method, crop.peak_method):
        return rows
    return [*rows, _row("Peak above weights", formatting.format_bytes, base.peak_bytes, crop.peak_bytes)]


def times_explained(result: Comparison) -> str:
    """How the times were measured, in one sentence."""
    count = min(len(answer.cost.runs) for answer in (result.baseline, result.crop))
    if not count:
        return "Times are those of the runs that gave the answers: one each, which says nothing about a difference."
    each = f"{formatting.counted(count, 'run')} of each, in turn, after the answers"
    return f"Times are medians and ranges of {each}." if count > 1 else f"Times are those of {each}."


def _work(base: Cost, crop: Cost) -> Row:
    """Work to the first token; where the localizer's is not counted there is no change to tell."""
    row = _row("Work to first token", formatting.format_flops, base.flops, crop.work)
    return row if crop.localizer_flops is not None else (*row[:3], "without the localizer's, which is not counted")


def _total_time(base: Cost, crop: Cost) -> Row:
    """Total times; answers of different lengths have their lengths in place of a change."""
    name, *times, change = _time_row("Total time", base.ranges["total_s"], crop.ranges["total_s"])
    same = base.new_tokens == crop.new_tokens
    return (name, *times, change if same else f"{base.new_tokens} and {crop.new_tokens} tokens")


def _token_time(result: Comparison) -> list[Row]:
    """The time of a further token, where both answers are long."""
    if not (is_long(result.baseline) and is_long(result.crop)):
        return []
    spreads = (answer.cost.ranges["further_token_s"] for answer in (result.baseline, result.crop))
    return [_time_row("  each further token", *spreads)]


def _time_row(name: str, base: Spread, crop: Spread) -> Row:
    return (name, str(base), str(crop), time_change(base, crop)[0])


def _row(name: str, unit: Callable[[float], str], base: float, crop: float) -> Row:
    return (name, unit(base), unit(crop), _change(base, crop))


def _change(base: float, crop: float) -> str:
    return f"{100 * (crop - base) / base:+.1f} %" if base > 0 else ""


def _notes(result: Comparison) -> list[str]:
    return [*result.notices, *unknown_words_notice(result.unknown_words), *localizer_notices(result)]


def unknown_words_notice(words: Sequence[str]) -> list[str]:
    """Notice of words of the question outside the model's vocabulary; none for no words."""
    listed = ", ".join(f"“{word}”" for word in words)
    return [f"Unknown to the model: {listed}. It answers anyway; treat the answer as a guess."] if words else []
