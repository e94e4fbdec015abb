"""The measured figures as Markdown tables, for the terminal and the README alike."""

from __future__ import annotations

from collections.abc import Iterable

from crop_core.bench.accuracy import Tally
from crop_core.tiny.questions import KINDS


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table with aligned columns."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def accuracy_table(tallies: dict[str, Tally]) -> str:
    """Exact answers by run and kind, and the share of the unpruned accuracy kept."""
    full = tallies["all tokens"].overall
    rows = [
        [
            name,
            f"{tally.mean_tokens:.0f}" if tally.mean_tokens else "",
            f"{tally.overall:.1%}",
            f"{tally.overall / full:.1%}",
        ]
        + [f"{tally.by_kind[kind]:.0%}" for kind in KINDS]
        for name, tally in sorted(tallies.items(), key=lambda pair: pair[0] != "all tokens")
    ]
    return markdown(["run", "mean tokens", "exact", "kept", *KINDS], rows)


def localizer_table(summary: dict[str, dict[str, float]]) -> str:
    """IoU, coverage and confidence by kind."""
    rows = [
        [name, *(f"{figures[key]:.2f}" for key in ("iou", "coverage", "confidence"))]
        for name, figures in summary.items()
    ]
    return markdown(["localizer", "mean IoU", "covers all", "confidence"], rows)


def cost_table(costs: dict[str, dict[str, float]]) -> str:
    """Times in ms, memory in MB and work in GFLOP, medians."""
    rows = [
        [
            name,
            *(
                f"{1000 * figures[key]:.0f}"
                for key in ("ttft_s", "total_s", "localizer_s", "encode_s", "compression_s", "scoring_s")
            ),
            *(f"{figures[key] / 1e6:.1f}" for key in ("kv_bytes", "peak_bytes")),
            f"{figures['flops'] / 1e9:.2f}",
        ]
        for name, figures in costs.items()
    ]
    stages = ["localizer ms", "encode ms", "compress ms", "score ms"]
    return markdown(["cost", "first token ms", "total ms", *stages, "KV MB", "peak MB", "GFLOP"], rows)
