"""Hand-made records with realistic values, for tests of the interface: no model is loaded."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, Kind
from crop_core.records.results import Answer, Comparison, Cost, RunError, RunResult, RunSpec, StreamEvent, TokenProb
from crop_core.records.trace import PruneStep, TokenTrace

SIDE, LAYERS = 24, 12


def sample_image(width: int = 336, height: int = 336) -> Image.Image:
    """A plain scene with a few shapes."""
    image = Image.new("RGB", (width, height), "#f7f3e8")
    pen = ImageDraw.Draw(image)
    for k, colour in enumerate(("#c0392b", "#2471a3", "#239b56", "#b7950b", "#7d3c98")):
        x, y = width * (0.08 + 0.18 * k), height * (0.12 + 0.55 * (k % 2))
        pen.ellipse([x, y, x + width * 0.15, y + height * 0.2], fill=colour)
    return image


def boxes(width: int, height: int) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """(576, 4) boxes of a centre-cropped square, and that square."""
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    step = side / SIDE
    corners = [left + column * step, top + row * step, left + (column + 1) * step, top + (row + 1) * step]
    return np.stack(corners, axis=1), (left, top, left + side, top + side)


def windows(region: Region, placed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group and ring of each token: 2x2 windows near the region, 4x4 far from it."""
    inside = region.mask(placed)
    row, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    cells = [max(0, region.x0 - 1), max(0, region.y0 - 1), min(7, region.x1 + 1), min(7, region.y1 + 1)]
    near = Region(*cells, region.width, region.height)
    ring = np.where(inside, 0, np.where(near.mask(placed), 1, 2))
    side = np.array([1, 2, 4])[ring]
    keys = list(zip(ring.tolist(), (row // side).tolist(), (column // side).tolist(), strict=True))
    index: dict[tuple[int, int, int], int] = {}
    return np.array([index.setdefault(key, len(index)) for key in keys]), ring


def trace(region: Region, plc: bool = True, keep: tuple[int, ...] = (150, 100)) -> TokenTrace:
    """576 tokens, pooled when `plc`, then cut at layers 1, 3, ... to the counts `keep`, outside the region first."""
    placed, visible = boxes(region.width, region.height)
    inside = region.mask(placed)
    group, ring = windows(region, placed) if plc else (np.arange(SIDE * SIDE), np.zeros(SIDE * SIDE, int))
    total = int(group.max()) + 1
    rng = np.random.default_rng(7)
    core = np.array([inside[group == j].any() for j in range(total)])
    alive, steps = np.arange(total), []
    for k, count in enumerate(keep):
        scores = np.full(total, np.nan)
        scores[alive] = rng.gamma(2, 0.002, len(alive)) + 0.01 * core[alive]
        order = alive[np.lexsort((-scores[alive], ~core[alive]))]
        alive = np.sort(order[: min(count, len(alive))])
        steps.append(PruneStep(1 + 2 * k, alive, scores))
    return TokenTrace((region.width, region.height), placed, visible, region, inside, group, ring, LAYERS, steps)


def cost(crop: bool = False, scale: float = 1.0) -> Cost:
    """Times, bytes and work as they were seen on two cores; `scale` stretches the times."""
    parts = (0.021, 0.031, 0.0009, 0.0024, 0.034, 0.012) if crop else (0, 0.030, 0, 0, 0.101, 0.016)
    localizer, encode, compression, scoring, prefill, decode = (part * scale for part in parts)
    first = localizer + encode + compression + scoring + prefill
    return Cost(
        "cpu",
        "float32",
        first,
        first + decode,
        2,
        2 / (first + decode),
        localizer,
        encode,
        compression,
        scoring,
        prefill,
        decode,
        (1_310_000 if crop else 3_570_000),
        21_400_000,
        7_900_000 if crop else 0,
        9_100_000 if crop else 17_800_000,
        "largest tensors alive",
        3_400_000_000 if crop else 8_900_000_000,
        610_000_000 if crop else 0,
    )


def answer(text: str, how: TokenTrace, crop: bool, own: float, other: float, scale: float = 1.0) -> Answer:
    """An answer of one word and an end token with probabilities `own` and `other`."""
    tokens = [TokenProb(text, math.log(own), math.log(other)), TokenProb("</s>", math.log(0.998), math.log(0.997))]
    return Answer(text, tokens, cost(crop, scale), (how,))


def comparison(
    question: str = "what is left of the dog?",
    size: tuple[int, int] = (336, 336),
    region: Region | None = None,
    changed: bool = False,
    slower: bool = False,
    **fields: Any,
) -> Comparison:
    """A whole comparison; `fields` replace fields of the record."""
    region = region or Region(2, 1, 4, 3, *size, "predicted", 0.83)
    pruned = fields.pop("trace", None) or trace(region)
    baseline = answer("rabbit", pruned.unpruned(), False, 0.94, 0.11 if changed else 0.91)
    crop = answer(
        "turtle" if changed else "rabbit",
        pruned,
        True,
        0.62 if changed else 0.91,
        0.05 if changed else 0.94,
        3.0 if slower else 1.0,
    )
    values = {
        "question": question,
        "model": "crop-tiny",
        "device": "cpu",
        "dtype": "float32",
        "regions": (region,),
        "baseline": baseline,
        "crop": crop,
        "kl_first": 0.61 if changed else 0.0042,
        "method": "crop",
        "budget": "mean 192 of 576 tokens",
    }
    return Comparison(**{**values, **fields})


def told(name: str = "CROP", method: str = "crop", region: Region | None = None, **fields: Any) -> RunResult:
    """What one way told; `fields` replace fields of the record."""
    region = region or Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)
    values = {
        "text": "rabbit",
        "same": True,
        "chance": 0.9,
        "kl_first": 0.01,
        "trace": trace(region),
        "ttft_s": 0.05,
        "kv_bytes": 1_300_000,
        "flops": 3_000_000_000,
    }
    return RunResult(name, method, region=region, **{**values, **fields})


def about_several(result: Comparison, regions: Sequence[Region]) -> Comparison:
    """The comparison with more images after its own, a region each."""
    traces = [trace(region) for region in regions]
    baseline = replace(result.baseline, traces=(result.baseline.trace, *(each.unpruned() for each in traces)))
    crop = replace(result.crop, traces=(result.crop.trace, *traces))
    return replace(result, regions=(result.region, *regions), baseline=baseline, crop=crop)


def request(kind: Kind = "stream", question: str = "what?", *images: Image.Image, **fields: Any) -> EngineRequest[Any]:
    """A request about the images, or else about `sample_image()`; `fields` replace fields of the request."""
    return EngineRequest(kind, images or (sample_image(),), question, **fields)


class FakeEngine:
    """Answers with a hand-made comparison, a region drawn by the user included, and runs specs; `asked` keeps those.

    A spec with a budget of 7 tokens is refused, and the method "random" says something else.
    """

    keeps_history = True

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.asked: list[RunSpec] = []

    def call(self, request: EngineRequest[Any], /) -> Any:
        """Answer, comparison, or region."""
        if request.kind == "localize":
            return Region(1, 2, 3, 4, *request.image.size, "predicted", 0.5)
        result = self.comparison(request)
        return result.crop if request.kind == "answer" else result

    def stream(self, request: EngineRequest[Any], /) -> Iterator[Any]:
        """Every token, then each spec; or region, both answers as they grow, then everything."""
        yield from self._specs(request) if request.kind == "run_many" else self._events(request)

    def _specs(self, request: EngineRequest[Any]) -> Iterator[RunResult | RunError]:
        whole = Region.whole(*request.image.size)
        yield told("Baseline", "none", whole, chance=0.99, kl_first=0.0, trace=trace(whole, False, ()))
        for way in request.specs:
            time.sleep(self.delay)
            self.asked.append(way)
            if way.config.budget is not None and way.config.budget.mean_tokens == 7:
                yield RunError(way.name, way.config.method, "A budget of 7 tokens is too small.")
                continue
            own = way.region or next(iter(request.regions), None)
            own = own or Region(2, 1, 4, 3, *request.image.size, "predicted", 0.83)
            other = way.config.method == "random"
            said = {"text": "turtle", "same": False, "chance": 0.2} if other else {}
            yield told(way.name, way.config.method, own, **said)

    def _events(self, request: EngineRequest[Any]) -> Iterator[StreamEvent]:
        result = self.comparison(request)
        yield StreamEvent("localize")
        texts = (
            ("baseline", ""),
            ("baseline", "rab"),
            ("baseline", "rabbit"),
            ("crop", ""),
            ("crop", result.crop.text),
        )
        for stage, text in texts:
            time.sleep(self.delay)
            yield StreamEvent(stage, text, result.regions)
        yield StreamEvent("measure", "", result.regions)
        yield StreamEvent("done", "", result.regions, result)

    def comparison(self, request: EngineRequest[Any]) -> Comparison:
        """What every kind of request but "localize" is answered with."""
        first, *others = request.images
        own, *given = request.regions or (None,) * len(request.images)
        sizes = [other.size for other in others]
        known = {word.strip("?,.") for word in request.question.split()}
        unknown = sorted(known & {"xylophone"})
        told = {"changed": "sign" in known, "unknown_words": unknown, "history": list(request.history)}
        result = comparison(request.question, first.size, own, **told)
        found = [each or Region(5, 5, 6, 7, *size, "predicted", 0.6) for each, size in zip(given, sizes, strict=True)]
        return about_several(result, found)
