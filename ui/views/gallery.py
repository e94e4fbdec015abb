"""Methods side by side: data of the small views, and the rows of their table. Reads records only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crop_core.io.data_url import data_url

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import RunResult

HEADERS = ["method", "answer", "same", "baseline answer", "KL, nats", "tokens", "first token ms", "KV MB", "GFLOP"]
WIDTHS = [
    "110px",
    "90px",
    "60px",
    "90px",
    "70px",
    "75px",
    "90px",
    "75px",
    "75px",
]  # wide enough for each word of a header
SHARED = ("boxes", "image_size", "visible", "view", "layers")  # of a trace, the same for every method


def gallery_json(image: Image.Image, results: list[RunResult]) -> dict[str, str]:
    """{"image": data URL, "data": JSON text}: what all traces share once, then each method's own, without scores."""
    first = results[0].trace.to_json()
    data = {"shared": {key: first.get(key) for key in SHARED}, "rows": [_row(each) for each in results]}
    return {"image": data_url(image), "data": json.dumps(data, allow_nan=False)}


def _row(result: RunResult) -> dict[str, Any]:
    trace = result.trace.to_json()
    own = {key: value for key, value in trace.items() if key not in SHARED}
    own["steps"] = [{"layer": step["layer"], "kept": step["kept"]} for step in trace["steps"]]
    return {
        "name": result.name,
        "text": result.text,
        "same": result.same,
        "chance": result.chance,
        "mean": result.trace.mean_tokens,
        "trace": own,
    }


def table_rows(results: list[RunResult]) -> list[list[Any]]:
    """Row of every method, columns as in HEADERS; numbers stay numbers, so that columns can be sorted."""
    return [
        [
            each.name,
            each.text,
            "yes" if each.same else "no",
            round(each.chance, 4),
            round(each.kl_first, 4),
            round(each.trace.mean_tokens, 1),
            round(1000 * (each.localizer_s + each.ttft_s), 1),
            round(each.kv_bytes / 1e6, 2),
            round((each.flops + each.localizer_flops) / 1e9, 2),
        ]
        for each in results
    ]
