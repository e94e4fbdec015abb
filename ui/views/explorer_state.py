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
