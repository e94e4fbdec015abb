"""What follows from the measured figures of one model: ratios to the baseline, and which of the goals are met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crop_core.bench.gpu.variants import BASELINE, METHODS

Row = Mapping[str, Any]
OURS = ("ilp", "plc", "crop")  # of config.METHODS, those that the goals are about
GOALS = {  # figure of `ratios`: the most that it may be
    "ttft_ratio": 0.45,
    "memory_ratio": 0.30,
    "prefill_over_flops": 1.15,
    "scoring_share": 0.03,
}
GOAL_WORDS = {
    "ttft_ratio": "time to first token, of the baseline's, localizer included",
    "memory_ratio": "peak memory above the weights, of the baseline's, localizer included",
    "prefill_over_flops": "prefill's share of the baseline's over what its FLOPs predict",
    "batch_prefill_over_flops": "the same of the largest batch that all methods fit, scoring included",
    "scoring_share": "scoring's share of its prefill",
    "waits": "waits for the device in the pruned prefill beyond the plain one's",
}


def ratios(own: Row, base: Row) -> dict[str, float]:
    """Of one variant's figures to those of the baseline; medians, localizer included but for the prefill's."""
    prefill, plain = own["prefill_s"]["median"], base["prefill_s"]["median"]
    scoring = own["scoring_s"]["median"]
    return {
        "ttft_ratio": own["ttft_s"]["median"] / base["ttft_s"]["median"],
        "total_ratio": own["total_s"]["median"] / base["total_s"]["median"],
        "memory_ratio": own["peak_bytes"] / base["peak_bytes"],
        "kv_ratio": own["kv_bytes"] / base["kv_bytes"],
        "flops_ratio": (own["flops"] + own["localizer_flops"]) / base["flops"],
        "prefill_ratio": prefill / plain,
        "prefill_flops_ratio": own["prefill_flops"] / base["prefill_flops"],
        "prefill_over_flops": (prefill / plain) / (own["prefill_flops"] / base["prefill_flops"]),
        "scoring_share": scoring / (scoring + prefill),
    }


def with_ratios(variants: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The figures of every variant and its ratios to the baseline among them."""
    base = variants[BASELINE]
    return {name: {**own, **ratios(own, base)} for name, own in variants.items()}


def goals(variants: Mapping[str, Row], profiles: Mapping[str, Row], batches: Mapping[str, Row]) -> list[dict[str, Any]]:
    """{variant, goal, value, most, met} for every goal and every variant of CROP that it is about."""
    found = []
    for name, own in variants.items():
        method = METHODS[own["method"]][0]
        if method in OURS:
            figures = [each for each in GOALS if each != "scoring_share" or method == "ilp"]
            found += [_goal(name, figure, own[figure], GOALS[figure]) for figure in figures]
    common = {name: own["rates"][0] for name, own in batches.items() if own.get("rates")}
    for name, rate in common.items():
        if METHODS[name][0] in OURS and BASELINE in common and rate["batch"] == common[BASELINE]["batch"]:
            value = _over_flops(rate, common[BASELINE])
            found.append(_goal(name, "batch_prefill_over_flops", value, GOALS["prefill_over_flops"]))
    plain = waits(profiles.get(BASELINE, {}))
    for name, seen in profiles.items():
        if name != BASELINE and BASELINE in profiles:
            found.append(_goal(name, "waits", waits(seen) - plain, 0))
    return found


def _over_flops(own: Row, base: Row) -> float:
    """Of two prefills of the same batch."""
    return (own["prefill_s"] / base["prefill_s"]) / (own["prefill_flops"] / base["prefill_flops"])


def waits(profile: Row) -> int:
    """How often the host waited for a GPU; on a CPU, how often it would have: reads of a tensor's values."""
    return sum((profile.get("waits") or profile.get("reads") or {}).values())


def _goal(variant: str, figure: str, value: float, most: float) -> dict[str, Any]:
    return {"variant": variant, "goal": figure, "value": value, "most": most, "met": value <= most}
