"""Readouts: costs of both runs in words and bars, exact ones apart from measured ones. Knows records only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from crop_core.records.formatting import format_bytes, format_flops, format_number, format_seconds
from crop_core.records.timing import NOT_MEASURED, Spread, time_change
from crop_core.records.verdict import is_long

if TYPE_CHECKING:
    from crop_core.records.cost import Cost
    from crop_core.records.results import Comparison

SAME_WITHIN = 0.005  # relative; counts and bytes closer than this are called the same


def change(base: float, crop: float) -> tuple[str, str]:
    """Change of an amount from `base` to `crop` in words, and its tone: "gain", "loss" or "same" (less is better)."""
    if base <= 0 or crop <= 0:
        return ("no change", "same") if base == crop else ("", "same")
    ratio = crop / base
    if abs(ratio - 1) < SAME_WITHIN:
        return "no change", "same"
    return (f"{100 * (1 - ratio):.0f} % less", "gain") if ratio < 1 else (f"{100 * (ratio - 1):.0f} % more", "loss")


@dataclass(frozen=True)
class Readout:
    """One cost of both runs, ready to be drawn.

    bars: lengths in 0..1. localizer: a sentence or ''. measured: whether it varies from run to run. whiskers: of a run,
    where its range begins and ends (0..1). ranges: the same in words.
    """

    key: str
    label: str
    baseline: str
    crop: str
    change: str
    tone: str
    explain: str
    localizer: str
    bars: dict[str, float]
    measured: bool = False
    whiskers: dict[str, tuple[float, float]] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)


def amount(
    key: str,
    label: str,
    base: float,
    crop: float,
    fmt: Callable[[float], str],
    explain: str,
    localizer: float = 0.0,
) -> Readout:
    """`Readout` of an exact amount; localizer: the localizer's share of `crop`."""
    bars = _bars(max(base, crop), base, crop, localizer)
    return Readout(key, label, fmt(base), fmt(crop), *change(base, crop), explain, _share(fmt, localizer), bars)


def time(key: str, label: str, base: Spread, crop: Spread, explain: str, localizer: float = 0.0) -> Readout:
    """`Readout` of a time: the medians, with a headline where the ranges differ measurably."""
    longest = max(base.high, crop.high, 1e-12)
    spreads = {"baseline": base, "crop": crop}
    return Readout(
        key,
        label,
        format_seconds(base.median),
        format_seconds(crop.median),
        *time_change(base, crop),
        explain,
        _share(format_seconds, localizer),
        _bars(longest, base.median, crop.median, localizer),
        measured=True,
        whiskers={run: (each.low / longest, each.high / longest) for run, each in spreads.items() if each.runs > 1},
        ranges={run: each.range_words for run, each in spreads.items() if each.runs > 1},
    )


def _bars(longest: float, base: float, crop: float, localizer: float) -> dict[str, float]:
    longest = max(longest, 1e-12)
    return {"baseline": base / longest, "crop": crop / longest, "localizer": min(localizer, crop) / longest}


def _share(fmt: Callable[[float], str], localizer: float) -> str:
    return f"{fmt(localizer)} of it is the localizer" if localizer > 0 else ""


def localizer_ran(result: Comparison) -> bool:
    """Whether a localizer predicted the region; a drawn region and the whole image take none."""
    return result.crop.cost.localizer_flops != 0  # None where they are not counted


def padding_sentence(result: Comparison) -> str:
    """How many visual tokens are padding; empty for none."""
    padding, total = (int(result.crop.total(name)) for name in ("padding_tokens", "visual_tokens"))
    return f"{padding} of the {total} tokens are padding: no part of the image." if padding else ""


def token_readouts(result: Comparison) -> list[Readout]:
    """Readouts of the mean tokens per layer and of the tokens after the last cut."""
    total, left = result.baseline.total("visual_tokens"), result.crop.total
    mean = f"Mean over all {result.crop.trace.layers} layers of the LLM; layers before a cut hold more."
    return [
        amount(
            "mean_tokens",
            "Visual tokens per layer",
            total,
            left("mean_tokens"),
            format_number,
            f"{mean} {padding_sentence(result)}".strip(),
        ),
        amount(
            "final_tokens",
            "After the last cut",
            total,
            left("final_tokens"),
            format_number,
            "Visual tokens that the deepest layers still attend to.",
        ),
    ]


def exact_readouts(result: Comparison) -> list[Readout]:
    """Readouts of KV cache, FLOPs and weights, the localizer always included in CROP's."""
    b, c = result.baseline.cost, result.crop.cost
    return [
        amount(
            "kv",
            "KV cache",
            b.kv_bytes,
            c.kv_bytes,
            format_bytes,
            "Keys and values of all tokens after the answer.",
        ),
        _work(b, c),
        amount(
            "weights",
            "Weights",
            b.weights_bytes,
            c.weights_bytes + c.localizer_weights_bytes,
            format_bytes,
            "Pruning never shrinks the model; a localizer adds its own.",
            c.localizer_weights_bytes,
        ),
    ]


def _work(b: Cost, c: Cost) -> Readout:
    """Readout of the FLOPs; where the localizer's are not counted there is no saving to tell."""
    explain = "Floating point operations up to the first token, image encoder included."
    work = amount("flops", "FLOPs", b.flops, c.work, format_flops, explain, c.localizer_flops or 0)
    if c.localizer_flops is not None:
        return work
    return replace(work, change="", tone="same", localizer="the localizer's are not counted")


def measured_readouts(result: Comparison) -> list[Readout]:
    """Readouts of times and of peak memory, the localizer always included in CROP's."""
    b, c = result.baseline.cost, result.crop.cost
    localizer_s = c.localizer_s if localizer_ran(result) else 0.0
    return [
        time(
            "ttft",
            "Time to first token",
            b.ranges["ttft_s"],
            c.ranges["ttft_s"],
            "From the image to the first token: localizer, image encoder, compression and prefill.",
            localizer_s,
        ),
        _total_time(b, c, localizer_s),
        *_token_time(result),
        _peak(b, c),
    ]


def _total_time(b: Cost, c: Cost, localizer_s: float) -> Readout:
    """Readout of the total times, which are compared for answers of the same length only."""
    until = "Until the last token of the answer."
    both = time("total", "Total time", b.ranges["total_s"], c.ranges["total_s"], until, localizer_s)
    if b.new_tokens == c.new_tokens:
        return both
    lengths = f"Until the last token of the answer: {b.new_tokens} tokens in the baseline, {c.new_tokens} pruned."
    return replace(both, change=f"{b.new_tokens} and {c.new_tokens} tokens", tone="same", explain=lengths)


def _token_time(result: Comparison) -> Iterable[Readout]:
    """Readout of the time of a further token, where both answers are long."""
    if is_long(result.baseline) and is_long(result.crop):
        base, crop = (answer.cost.ranges["further_token_s"] for answer in (result.baseline, result.crop))
        yield time("token", "Each further token", base, crop, "Mean time of a token after the first.")


def _peak(b: Cost, c: Cost) -> Readout:
    """Readout of peak memory, which is measured last."""
    explain = "Activations and KV cache above the weights"
    if NOT_MEASURED in (b.peak_method, c.peak_method):
        bars = _bars(1, 0, 0, 0)
        return Readout("peak", "Peak memory", "–", "–", "", "same", f"{explain}; not measured.", "", bars, True)
    both = amount("peak", "Peak memory", b.peak_bytes, c.peak_bytes, format_bytes, f"{explain} ({c.peak_method}).")
    return replace(both, measured=True)


def readouts(result: Comparison) -> list[dict]:
    """All readouts as plain dicts, in display order: first the exact ones."""
    exact = (*token_readouts(result), *exact_readouts(result))
    return [asdict(one) for one in (*exact, *measured_readouts(result))]
