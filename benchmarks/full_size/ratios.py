"""Ratios of the measured figures of one model to those of its baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.full_size.variants import BASELINE

Row = Mapping[str, Any]


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


def over_flops(own: Row, base: Row) -> float:
    """Two prefills' ratio of seconds over that of their FLOPs; figures `prefill_s` and `prefill_flops`."""
    return (own["prefill_s"] / base["prefill_s"]) / (own["prefill_flops"] / base["prefill_flops"])
