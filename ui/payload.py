"""What the explorer draws: a picture as a data URL and a JSON text. Built from records, without torch or Gradio."""

from __future__ import annotations

import base64
import io
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ui import words

if TYPE_CHECKING:
    from PIL import Image

    from crop_core.records import Comparison, StreamEvent
    from crop_core.region import Region

PICTURE_SIDE = 1024  # the longest side that is sent to the browser; boxes stay in original pixels


def data_url(image: Image.Image, side: int = PICTURE_SIDE) -> str:
    """`image` (RGB) as a data URL, scaled down to `side`: PNG when that is small, else JPEG."""
    small = image.copy()
    small.thumbnail((side, side))
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 88})):
        buffer = io.BytesIO()
        small.save(buffer, kind, **options)
        if buffer.tell() < 200_000:
            break
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def result_json(result: Comparison) -> dict[str, Any]:
    """The finished comparison as the explorer shows it: the pruned run's trace, words and numbers."""
    name = words.method_name(result.method)
    return {
        "trace": result.crop.trace.to_json(),
        "mean": result.crop.trace.mean_tokens,
        "verdict": words.verdict(result),
        "notices": words.notices(result),
        "notes": words.run_notes(result),
        "tokens": {
            "baseline": words.token_chips(result.baseline.tokens, "with every token", f"with {name}"),
            "crop": words.token_chips(result.crop.tokens, f"with {name}", "with every token"),
        },
        "readouts": words.readouts(result),
        "footer": words.footer(result),
    }


@dataclass(frozen=True)
class View:
    """What one visitor sees at one moment; `event` gives the next moment. Never changed in place, never shared."""

    image: str
    size: tuple[int, int]
    question: str = ""
    method: str = "CROP"
    stage: str = "idle"
    region: Region | None = None
    answers: dict[str, str] = field(default_factory=dict)
    result: Comparison | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def of(cls, image: Image.Image, question: str = "", method: str = "CROP") -> View:
        """A picture with nothing known of it yet; method: what the pruned run will be called."""
        return cls(data_url(image), image.size, question, method)

    def event(self, event: StreamEvent) -> View:
        """This view after one event of the engine's stream."""
        answers = dict(self.answers)
        if event.stage in ("baseline", "crop"):
            answers[event.stage] = event.text
        if event.comparison is not None:
            answers = {"baseline": event.comparison.baseline.text, "crop": event.comparison.crop.text}
        region = event.comparison.region if event.comparison is not None else event.region or self.region
        return replace(self, stage=event.stage, region=region, answers=answers, result=event.comparison or self.result)

    def to_json(self) -> dict[str, str]:
        """The explorer's payload: {"image": data URL, "data": JSON text}."""
        data = {
            "id": self.key,
            "stage": self.stage,
            "size": list(self.size),
            "question": self.question,
            "method": self.method,
            "region": None if self.region is None else region_json(self.region),
            "answers": {"baseline": self.answers.get("baseline", ""), "crop": self.answers.get("crop", "")},
            "result": None if self.result is None else result_json(self.result),
        }
        return {"image": self.image, "data": json.dumps(data, allow_nan=False)}


def region_json(region: Region) -> dict[str, Any]:
    """A region as the explorer reads it."""
    return {"grid": list(region.grid), "source": region.source, "confidence": region.confidence}
