"""State of the explorer: images as data URLs and a JSON text. Built from records, without torch or Gradio."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from crop_core.io.data_url import data_url
from ui.views import texts

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.results import RunResult

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records.region import Region
    from crop_core.records.results import Comparison, StreamEvent


def result_json(result: Comparison) -> dict[str, Any]:
    """A finished comparison for the explorer: the pruned run's traces, texts and numbers."""
    name = texts.method_name(result.method)
    return {
        "trace": result.trace.to_json(),
        "others": [trace.to_json() for trace in result.others],
        "verdict": texts.verdict(result),
        "notices": texts.notices(result),
        "notes": texts.run_notes(result),
        "tokens": {
            "baseline": texts.token_chips(result.baseline.tokens, "in the baseline", f"with {name}"),
            "crop": texts.token_chips(result.crop.tokens, f"with {name}", "in the baseline"),
        },
        "readouts": texts.readouts(result),
        "footer": texts.footer(result),
    }


@dataclass(frozen=True)
class ShownImage:
    """Image as a data URL, and the (width, height) of the original."""

    url: str
    size: tuple[int, int]


@dataclass(frozen=True)
class ExplorerState:
    """View of one visitor at one moment; `event` gives the next one. Immutable.

    region: in the first image; those in the others are in the result. fixed: the region cannot be changed, since the
    run was opened from a file.
    """

    images: tuple[ShownImage, ...]
    question: str = ""
    method: str = "CROP"
    stage: str = "idle"
    region: Region | None = None
    answers: dict[str, str] = field(default_factory=dict)
    result: Comparison | None = None
    fixed: bool = False
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, images: Image.Image | Sequence[Image.Image], question: str = "", method: str = "CROP") -> ExplorerState:
        """State before a run, of one image or several; method: display name of the pruned run."""
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

    def to_json(self) -> dict[str, Any]:
        """Payload of the explorer: {"image": data URL, "others": [data URL of each further image], "data": JSON
        text}.
        """
        first, *others = self.images
        regions = () if self.result is None else self.result.regions[1:]
        region_data = [region_json(region) for region in regions] if regions else [None] * len(others)
        data = {
            "id": self.key,
            "stage": self.stage,
            "size": list(first.size),
            "question": self.question,
            "method": self.method,
            "fixed": self.fixed,
            "region": None if self.region is None else region_json(self.region),
            "others": [
                {"size": list(other.size), "region": region} for other, region in zip(others, region_data, strict=True)
            ],
            "answers": {"baseline": self.answers.get("baseline", ""), "crop": self.answers.get("crop", "")},
            "result": None if self.result is None else result_json(self.result),
        }
        urls = [other.url for other in others]
        return {"image": first.url, "others": urls, "data": json.dumps(data, allow_nan=False)}


def region_json(region: Region) -> dict[str, Any]:
    """JSON of a region for the explorer."""
    return {"grid": list(region.grid), "source": region.source, "confidence": region.confidence}


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
