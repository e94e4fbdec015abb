"""State of the explorer: images as data URLs and a JSON text. Built from records, without torch or Gradio."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crop_core.io.data_url import data_url
from crop_core.records.comparison_table import times_explained
from crop_core.records.cost import gflop
from crop_core.records.formatting import format_probability
from crop_core.records.methods import method_of
from crop_core.records.verdict import verdict_of_run
from ui.views import texts
from ui.views.readouts import readouts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.attention import Attention
    from crop_core.records.region import Region
    from crop_core.records.results import Comparison, RunResult, StreamEvent
    from crop_core.records.timing import Measured
    from crop_core.records.trace import TokenTrace


def result_json(result: Comparison) -> dict[str, Any]:
    """A finished comparison for the explorer: the pruned run's traces, texts and numbers."""
    name = texts.method_name(result.method)
    return {
        "trace": trace_json(result.trace, result.method),
        "others": [trace_json(trace, result.method) for trace in result.others],
        "verdict": texts.verdict_lines(result),
        "notices": texts.notices(result),
        "notes": texts.run_notes(result),
        "tokens": {
            "baseline": texts.token_chips(result.baseline.tokens, "in the baseline", f"with {name}"),
            "crop": texts.token_chips(result.crop.tokens, f"with {name}", "in the baseline"),
        },
        "readouts": readouts(result),
        "times": times_explained(result),
        "footer": texts.footer(result),
        "attention": [each.to_json() for each in result.attention],
    }


def trace_json(trace: TokenTrace, method: str) -> dict[str, Any]:
    """A trace for the explorer: without a region where the method reads none."""
    data = trace.to_json()
    return data if method_of(method).needs_region else {**data, "region": None}


@dataclass(frozen=True)
class ShownImage:
    """Image as a data URL, and the (width, height) of the original."""

    url: str
    size: tuple[int, int]


@dataclass(frozen=True)
class ExplorerState:
    """View of one visitor at one moment; `event` gives the next one. Immutable.

    method: of the pruned run, as `method_of` knows it. region: in the first image; those in the others are in the
    result. measuring: progress of a measurement, in words. fixed: the region cannot be changed and nothing measured,
    since the run was opened from a file. hint: a sentence of its own below the answers. tried: what came of tokens that
    were chosen by hand, the latest first.
    """

    images: tuple[ShownImage, ...]
    question: str = ""
    method: str = "crop"
    stage: str = "idle"
    region: Region | None = None
    answers: dict[str, str] = field(default_factory=dict)
    result: Comparison | None = None
    measuring: str = ""
    fixed: bool = False
    hint: str = ""
    tried: tuple[RunResult, ...] = ()
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, images: Image.Image | Sequence[Image.Image], question: str = "", method: str = "crop") -> ExplorerState:
        """State before a run, of one image or several."""
        shown = images if isinstance(images, Sequence) else [images]
        return cls(tuple(ShownImage(data_url(image), image.size) for image in shown), question, method)

    def event(self, event: StreamEvent) -> ExplorerState:
        """State after one event of the engine's stream."""
        answers = dict(self.answers)
        if event.stage in ("baseline", "crop"):
            answers[event.stage] = event.text
        if event.comparison is not None:
            answers = {"baseline": event.comparison.baseline.text, "crop": event.comparison.crop.text}
        region = event.comparison.region if event.comparison is not None else event.region or self.region
        return replace(self, stage=event.stage, region=region, answers=answers, result=event.comparison or self.result)

    @property
    def is_guess(self) -> bool:
        """Whether the answers, the region and its confidence are guesses."""
        return self.result is not None and self.result.unfamiliar

    def measured(self, measured: Measured | None, progress: str = "") -> ExplorerState:
        """State while the runs are measured: with the new times where there are no more of the old. progress: in words,
        by default how many runs are there.
        """
        result = self.result
        if result and measured and len(measured.crop) >= len(result.crop.cost.runs):
            result = result.measured(measured)
        return replace(self, stage="measure", result=result, measuring=progress or texts.measuring(measured))

    def looked(self, found: Sequence[Attention]) -> ExplorerState:
        """State of a finished run with the attention of one of its runs."""
        return replace(self, result=self.result and self.result.looked(found))

    def ended(self) -> ExplorerState:
        """State after the runs were measured, or as much as there was time for."""
        return replace(self, stage="done", measuring="")

    def to_json(self) -> dict[str, Any]:
        """Payload of the explorer: {"image": data URL, "others": [data URL of each further image], "data": JSON
        text}.
        """
        first, *others = self.images
        reads = method_of(self.method).needs_region
        regions = () if self.result is None or not reads else self.result.regions[1:]
        region_data = [region_json(each, self.is_guess) for each in regions] if regions else [None] * len(others)
        data = {
            "id": self.key,
            "stage": self.stage,
            "size": list(first.size),
            "question": self.question,
            "method": texts.method_name(self.method),
            "heading": texts.heading(self.result) if self.result else texts.run_name(self.method),
            "no_region": method_of(self.method).no_region,
            "measuring": self.measuring,
            "fixed": self.fixed,
            "hint": self.hint,
            "tried": [tried_json(each) for each in self.tried],
            "region": None if self.region is None or not reads else region_json(self.region, self.is_guess),
            "others": [
                {"size": list(other.size), "region": region} for other, region in zip(others, region_data, strict=True)
            ],
            "answers": {"baseline": self.answers.get("baseline", ""), "crop": self.answers.get("crop", "")},
            "result": None if self.result is None else result_json(self.result),
        }
        urls = [other.url for other in others]
        return {"image": first.url, "others": urls, "data": json.dumps(data, allow_nan=False)}


def region_json(region: Region, is_guess: bool) -> dict[str, Any]:
    """JSON of a region for the explorer; a guess has no confidence."""
    confidence = None if is_guess else region.confidence
    return {"grid": list(region.grid), "source": region.source, "confidence": confidence}


def tried_json(result: RunResult) -> dict[str, Any]:
    """What came of tokens that were chosen by hand."""
    return {
        "tokens": result.trace.input_tokens,
        "text": texts.quoted(result.text),
        "same": result.same,
        "probability": format_probability(result.answer_probability),
    }


Column = tuple[str, Callable[["RunResult"], Any]]  # width that holds each word of the header, and the cell of a run


def _gflop(run: RunResult) -> float | None:
    return None if (work := gflop(run.flops, run.localizer_flops)) is None else round(work, 2)


OUTCOME: dict[str, Column] = {
    "answer": ("90px", lambda run: run.text),
    "same": ("60px", lambda run: "yes" if run.same else "no"),
    "probability of baseline answer": ("110px", lambda run: round(run.answer_probability, 4)),
}
TOKENS: Column = ("75px", lambda run: round(run.trace.mean_tokens, 1))
FIRST_TOKEN: Column = ("90px", lambda run: round(1000 * (run.localizer_s + run.ttft_s), 1))
COLUMNS: dict[str, Column] = {  # of the table of methods; numbers stay numbers, so that they can be sorted
    "method": ("110px", lambda run: run.name),
    **OUTCOME,
    "KL, nats": ("70px", lambda run: round(run.kl_first, 4)),
    "tokens": TOKENS,
    "first token, ms": FIRST_TOKEN,
    "KV cache, MiB": ("80px", lambda run: round(run.kv_bytes / 2**20, 2)),
    "GFLOP": ("75px", _gflop),
}
LOCALIZER_COLUMNS: dict[str, Column] = {  # of the table of localizers, as many
    "localizer": ("110px", lambda run: run.name),
    **OUTCOME,
    "region, %": ("70px", lambda run: round(100 * run.region.share, 1)),
    "tokens": TOKENS,
    "localizer, ms": ("80px", lambda run: round(1000 * run.localizer_s, 1)),
    "first token, ms": FIRST_TOKEN,
    "GFLOP": ("75px", _gflop),
}
SHARED = ("boxes", "image_size", "visible", "view", "layers", "padding")  # of a trace, the same for every method


def gallery_json(image: Image.Image, results: list[RunResult]) -> dict[str, str]:
    """{"image": data URL, "data": JSON text}: what all traces share once, then each method's own, without scores."""
    first = results[0].trace.to_json()
    rows = [_row(each, results[0]) for each in results]
    data = {"shared": {key: first.get(key) for key in SHARED}, "rows": rows}
    return {"image": data_url(image), "data": json.dumps(data, allow_nan=False)}


def _row(result: RunResult, baseline: RunResult) -> dict[str, Any]:
    trace = trace_json(result.trace, result.method)
    own = {key: value for key, value in trace.items() if key not in SHARED}
    own["steps"] = [{"layer": step["layer"], "kept": step["kept"]} for step in trace["steps"]]
    return {
        "name": result.name,
        "text": result.text,
        "verdict": verdict_of_run(result, baseline),
        "answer_probability": format_probability(result.answer_probability),
        "mean": result.trace.mean_tokens,
        "trace": own,
    }


def table(results: list[RunResult], columns: dict[str, Column] = COLUMNS) -> dict[str, list[Any]]:
    """{"headers": names, "data": a row a run}, as a table of the page takes it."""
    return {"headers": [*columns], "data": [[cell(each) for _, cell in columns.values()] for each in results]}
