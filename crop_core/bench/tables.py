"""The measured figures as Markdown tables, for the terminal and the README alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crop_core.bench.examiner import ALL
from crop_core.bench.markdown import markdown
from crop_core.tiny.questions import KINDS

LOCALIZER = {
    "iou": "mean IoU",
    "coverage": "covers all",
    "whole_image": "whole image found",
    "whole_image_wrongly": "whole image wrongly",
    "confidence": "confidence",
    "ece": "ECE",
}
STAGES = ("ttft_s", "total_s", "localizer_s", "encode_s", "compression_s", "scoring_s")


def accuracy_table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Exact answers by run (`Tally.to_json`) and kind, and the share of the unpruned accuracy kept."""
    full = runs[ALL]["overall"]
    rows = [
        [
            name,
            f"{run['mean_tokens']:.0f}" if run["mean_tokens"] else "",
            f"{run['overall']:.1%}",
            f"{run['overall'] / full:.1%}" if full else "",
        ]
        + [f"{run['by_kind'][kind]:.0%}" if kind in run["by_kind"] else "" for kind in KINDS]
        for name, run in runs.items()
    ]
    return markdown(["run", "mean tokens", "exact", "kept", *KINDS], rows)


def localizer_table(summary: Mapping[str, Any]) -> str:
    """The localizer's figures, overall and by kind."""
    return regions_table({"overall": summary, **summary["by_kind"]})


def regions_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """`localizer.figures` by name."""
    return markdown(
        ["localizer", *LOCALIZER.values()],
        [[name, *(_share(figures[key]) for key in LOCALIZER)] for name, figures in rows.items()],
    )


def reliability_table(summary: Mapping[str, Any]) -> str:
    """What came true in each bin of confidence."""
    rows = [
        [
            f"{each['from']:.1f} to {each['to']:.1f}",
            str(each["count"]),
            _share(each["confidence"]),
            _share(each["observed"]),
        ]
        for each in summary["reliability"]
    ]
    return markdown(["confidence", "questions", "mean confidence", "covers all"], rows)


def cost_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Times in ms, memory in MB and work in GFLOP, medians."""
    rows = [
        [
            name,
            *(f"{1000 * figures[key]:.0f}" for key in STAGES),
            *(f"{figures[key] / 1e6:.1f}" for key in ("kv_bytes", "peak_bytes")),
            f"{figures['flops'] / 1e9:.2f}",
        ]
        for name, figures in costs.items()
    ]
    stages = ["localizer ms", "encode ms", "compress ms", "score ms"]
    return markdown(["cost", "first token ms", "total ms", *stages, "KV MB", "peak MB", "GFLOP"], rows)


def self_tables(trained: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, str, str]:
    """The self-localizer's regions beside others, and by kind; what CROP keeps with them; what finding them costs."""
    regions = {"trained": trained, "self": own, **own["beside"]}
    regions |= {f"self, {kind}": figures for kind, figures in own["by_kind"].items()}
    finding = [
        [name, f"{1000 * cost['seconds']:.1f}", f"{cost['flops'] / 1e9:.2f}"] for name, cost in own["cost"].items()
    ]
    return regions_table(regions), accuracy_table(own["runs"]), markdown(["localizer", "ms", "GFLOP"], finding)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
