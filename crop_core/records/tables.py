"""Results as tables: a dict a row, with units in its names, for CSV files, DataFrames and page. Reads records only."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crop_core.records.cost import gflop
from crop_core.records.methods import BASELINE, method_of
from crop_core.records.region import GRID

if TYPE_CHECKING:
    import pandas as pd

    from crop_core.records.region import Region
    from crop_core.records.results import Answer, Comparison, RunError, RunResult
    from crop_core.records.trace import TokenTrace

Row = dict[str, Any]
MIB = 2**20


def csv_text(rows: Sequence[Row]) -> str:
    """CSV with a head line, commas and six digits; a value that there is not is empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def data_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a DataFrame of pandas, which comes with Gradio."""
    import pandas as pd

    return pd.DataFrame(list(rows))


def run_rows(results: Sequence[RunResult], errors: Sequence[RunError] = (), **first: Any) -> list[Row]:
    """Row of every run of one question, and of every failed one with its reason. first: columns before the others."""
    failed = [{**first, "run": each.name, "method": each.method, "error": each.why} for each in errors]
    return [{**first, **_run_row(each)} for each in results] + failed


def _run_row(result: RunResult) -> Row:
    return {
        "run": result.name,
        "method": result.method,
        "answer": result.text,
        "same_answer": result.same,
        "baseline_answer_probability": result.answer_probability,
        "kl_nats": result.kl_first,
        "visual_tokens": result.trace.visual_tokens,
        "mean_tokens": result.trace.mean_tokens,
        **_region_columns(result.region if method_of(result.method).needs_region else None),
        "localizer_ms": 1000 * result.localizer_s,
        "first_token_ms": 1000 * (result.localizer_s + result.ttft_s),
        "kv_cache_mib": result.kv_bytes / MIB,
        "gflop": gflop(result.flops, result.localizer_flops),
        "model": result.model,
        "device": result.device,
        "dtype": result.dtype,
    }


def comparison_rows(result: Comparison) -> list[Row]:
    """Row of the baseline and of the pruned run, with their costs; those of the localizer are included."""
    about = {"question": result.question}
    how = {"model": result.model, "device": result.device, "dtype": result.dtype}
    runs = {BASELINE: result.baseline, result.method: result.crop}
    return [{**about, **_answer_row(method, answer, result), **how} for method, answer in runs.items()]


def _answer_row(method: str, answer: Answer, result: Comparison) -> Row:
    cost, other = answer.cost, answer is not result.baseline
    given = [token.other_logprob if other else token.logprob for token in result.baseline.tokens]
    return {
        "run": method_of(method).title,
        "method": method,
        "budget": result.budget if other else "",
        "answer": answer.text,
        "same_answer": answer.text == result.baseline.text,
        "baseline_answer_probability": None if None in given else math.exp(sum(given)),  # type: ignore[arg-type]
        "kl_nats": result.kl_first if other else 0.0,
        "visual_tokens": answer.total("visual_tokens"),
        "mean_tokens": answer.total("mean_tokens"),
        **_region_columns(result.region if method_of(method).needs_region and other else None, result.unfamiliar),
        "localizer_ms": 1000 * cost.localizer_s,
        "first_token_ms": 1000 * cost.ttft_s,
        "total_ms": 1000 * cost.total_s,
        "kv_cache_mib": cost.kv_bytes / MIB,
        "peak_mib": cost.peak_bytes / MIB if cost.peak_bytes else None,
        "weights_mib": (cost.weights_bytes + cost.localizer_weights_bytes) / MIB,
        "gflop": gflop(cost.flops, cost.localizer_flops),
    }


def _region_columns(region: Region | None, is_guess: bool = False) -> Row:
    """Inclusive grid cells, source and confidence, which a guess has none of; empty for a run that reads no region."""
    if region is None:
        return {"region": None, "region_source": None, "region_confidence": None}
    cells = ",".join(map(str, region.grid))
    return {
        "region": cells,
        "region_source": region.source,
        "region_confidence": None if is_guess else region.confidence,
    }


def token_rows(traces: Sequence[TokenTrace]) -> list[Row]:
    """Row of every visual token of every image: box in pixels, grid cell, ring, group, scores, layer where it ends."""
    return [row for number, trace in enumerate(traces, 1) for row in _token_rows(number, trace)]


def _token_rows(number: int, trace: TokenTrace) -> list[Row]:
    """group: the LLM input token that a token went into. pruned_at_layer: 0 before the LLM. None: neither."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    sides = np.array([*trace.image_size, *trace.image_size])
    middles = (trace.boxes + np.roll(trace.boxes, -2, axis=1)) / 2 * GRID / sides  # (N, 4) in cells
    scores = [(f"score_at_layer_{step.layer}", trace.score(at)) for at, step in enumerate(trace.steps)]
    rows = []
    for token, box in enumerate(trace.boxes.tolist()):
        placed, group, died = bool(np.isfinite(box).all()), int(trace.group[token]), int(trace.died_at[token])
        cell = np.clip(middles[token, :2].astype(int), 0, GRID - 1).tolist() if placed else (None, None)
        rows.append(
            {
                "image": number,
                "token": token,
                "view": int(trace.view[token]) if placed else None,
                **dict(zip(("left", "top", "right", "bottom"), box if placed else (None,) * 4, strict=True)),
                **dict(zip(("grid_column", "grid_row"), cell, strict=True)),
                "padding": bool(trace.padding[token]),
                "in_region": bool(trace.in_region[token]),
                "ring": int(trace.ring[token]),
                "group": group if group >= 0 else None,
                "group_size": int(sizes[group]) if group >= 0 else None,
                "pruned_at_layer": died if died < trace.layers else None,
                **{name: _finite(values[token]) for name, values in scores},
            }
        )
    return rows


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cell(value: Any) -> Any:
    """A value as CSV has it: booleans in words, six digits of a number."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else value
