"""Hand-made records with realistic values, for tests of the interface: no model is loaded."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crop_core.records.attention import Attention
from crop_core.records.check import (
    PASSED,
    AnswerRow,
    CheckReport,
    CostRow,
    Proof,
    RegionRow,
    Repetition,
    SceneResult,
    Share,
    Spread,
)
from crop_core.records.cost import Cost
from crop_core.records.explanation import ExplainedItem, Explanation, ExplanationMap, Localization
from crop_core.records.methods import method_of
from crop_core.records.region import Region
from crop_core.records.request import EngineRequest, Kind
from crop_core.records.results import Answer, Comparison, RunError, RunResult, RunSpec, StreamEvent, TokenProb
from crop_core.records.timing import NOT_MEASURED, Measured, Peak, RunTime
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


def explanation() -> Explanation:
    """Two lines that were read, one of them chosen, and a map of 8x8 cells."""
    items = [
        ExplainedItem(((90.0, 60.0), (180.0, 66.0), (178.0, 96.0), (88.0, 90.0)), "EXIT", 0.97, True, "on red"),
        ExplainedItem.of_box((220, 240, 300, 262), "TAXI", 0.88, chosen=False),
    ]
    cells = np.zeros((8, 8))
    cells[1:4, 2:5] = 0.8
    return Explanation("text", "2 lines of text read, 1 of them chosen.", items, [ExplanationMap("Probability", cells)])


def attention(trace: TokenTrace, baseline: bool = True, image: int = 0) -> Attention:
    """Of two answer tokens: at the first in layer n the token n has a quarter, the others share what is left."""
    count = trace.visual_tokens if baseline else trace.input_tokens
    shares = np.full((2, trace.layers, count), 0.25 / (count - 1))
    shares[0, range(trace.layers), range(trace.layers)] = 0.25
    return Attention.of("none" if baseline else "crop", image, ["rabbit", "</s>"], shares, 0.125)


def padded_trace(
    size: tuple[int, int] = (336, 224), region: Region | None = None, keep: tuple[int, ...] = ()
) -> TokenTrace:
    """576 tokens over the square around an image that is wider than high; those beside it are padding, in ring 2."""
    width, height = size
    own = trace(region or Region(2, 1, 4, 3, width, width, "predicted", 0.83), keep=keep)
    top = (width - height) / 2
    placed = own.boxes - (0, top, 0, top)
    shown = Region(*own.region.grid, width, height, own.region.source, own.region.confidence)
    return replace(
        own,
        image_size=size,
        boxes=placed,
        visible=(0.0, 0.0, float(width), float(height)),
        region=shown,
        in_region=shown.mask(placed),
    )


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


def run_time(crop: bool = False, scale: float = 1.0) -> RunTime:
    """The times of `cost` as those of a measured run."""
    whole = vars(cost(crop, scale))
    return RunTime(**{name: whole[name] for name in RunTime.__dataclass_fields__})


def measured(
    baseline: Sequence[float] = (1, 1.02, 0.98, 1.01, 0.99),
    crop: Sequence[float] = (1, 1.02, 0.98, 1.01, 0.99),
    peaks: tuple[int, ...] = (17_800_000, 9_100_000),
) -> Measured:
    """What is measured of runs whose times are those of `cost`, each scaled."""
    times = [run_time(False, scale) for scale in baseline], [run_time(True, scale) for scale in crop]
    return Measured(*times, 5, tuple(Peak(size, "largest tensors alive") for size in peaks))


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
        **fields,
    }
    if not method_of(values["method"]).needs_region:
        values["crop"] = without_localizer(values["crop"])
    return Comparison(**values)


def without_peaks(result: Comparison) -> Comparison:
    """The comparison before its memory is measured."""
    runs = {}
    for name, run in (("baseline", result.baseline), ("crop", result.crop)):
        runs[name] = replace(run, cost=replace(run.cost, peak_bytes=0, peak_method=NOT_MEASURED))
    return replace(result, **runs)


def without_localizer(run: Answer) -> Answer:
    """The run with no localizer in its cost."""
    return replace(run, cost=replace(run.cost, localizer_s=0.0, localizer_flops=0, localizer_weights_bytes=0))


def run_result(name: str = "CROP", method: str = "crop", region: Region | None = None, **fields: Any) -> RunResult:
    """What one way told; `fields` replace fields of the record."""
    region = region or Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)
    values = {
        "text": "rabbit",
        "same": True,
        "answer_probability": 0.9,
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


def check_report(scenes: int = 2, **fields: Any) -> CheckReport:
    """A finished check; `fields` replace fields of the record."""
    values = {
        "environment": {"model": "crop-tiny", "revision": "files 0", "device": "cpu", "dtype": "float32"}
        | {"scenes": scenes, "crop-explorer": "0.1.0", "transformers": "5", "torch": "2", "python": "3.11"},
        "finished": True,
        "proofs": [
            Proof("baseline", PASSED, 1e-6, 1e-3, 0.5, "first-token logits"),
            Proof("pruning", PASSED, 0, 1, 1, ""),
        ],
        "regions": [RegionRow("self", scenes, Share(0.5, 0.25, 0.75), Share(1.0, 0.5, 1.0), 0.125, 0.012)],
        "answers": [
            AnswerRow("baseline", "", scenes, None, Share(1.0, 0.5, 1.0), 576.0),
            AnswerRow("crop", "33.3 %", scenes, Share(0.5, 0.1, 0.9), Share(0.5, 0.1, 0.9), 192.0),
            AnswerRow("downsample", "33.3 %", 0, missing="missing in 2 of 2 scenes: no memory."),
        ],
        "costs": [CostRow("time to first token", "s", Spread(0.13, 0.1, 0.2), Spread(0.08, 0.07, 0.1))],
        "scenes": [SceneResult(n, "count", "how many?", "two", (0, 0, 7, 7)) for n in range(scenes)],
        "repetitions": [Repetition(cost(), cost(True))] * 5,
    }
    return CheckReport(**{**values, **fields})


def request(kind: Kind = "stream", question: str = "what?", *images: Image.Image, **fields: Any) -> EngineRequest[Any]:
    """A request about the images, or else about `sample_image()`; `fields` replace fields of the request."""
    return EngineRequest(kind, images or (sample_image(),), question, **fields)


class FakeEngine:
    """Answers with a hand-made comparison, a region drawn by the user included, and runs specs; `asked` keeps those.

    A spec with a budget of 7 tokens is refused, and the method "random" says something else.
    """

    keeps_history = True
    reads_several = True
    short_answer_request = ""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.requested: list[RunSpec] = []

    def call(self, request: EngineRequest[Any], /) -> Any:
        """Answer, comparison, or region."""
        if request.kind == "localize":
            region = Region(1, 2, 3, 4, *request.image.size, "predicted", 0.5)
            return Localization(region, explanation(), ["It read."], 0.2, None, 15) if request.explain else region
        result = self.comparison(request)
        told = {"method": result.method, "budget": result.budget, "unknown_words": result.unknown_words}
        told["notices"] = ["A notice of the answer."]
        return replace(result.crop, **told) if request.kind == "answer" else result

    def stream(self, request: EngineRequest[Any], /) -> Iterator[Any]:
        """Every token, then each spec; what is measured, pair by pair; what a check finds; or region, both answers as
        they grow, then everything.
        """
        kinds = {"run_many": self._specs, "measure": self._measured, "check": self._checks, "attention": self._looked}
        yield from kinds.get(request.kind, self._events)(request)

    def _looked(self, request: EngineRequest[Any]) -> Iterator[Attention]:
        traces = self.comparison(request).crop.traces
        is_baseline = request.config.method == "none"
        yield from (attention(each, is_baseline, number) for number, each in enumerate(traces))

    def _checks(self, request: EngineRequest[Any]) -> Iterator[CheckReport]:
        whole = check_report(request.scenes)
        for count in range(1, len(whole.proofs) + 1):
            time.sleep(self.delay)
            yield CheckReport(whole.environment, proofs=whole.proofs[:count])
        yield whole

    def _measured(self, request: EngineRequest[Any]) -> Iterator[StreamEvent]:
        whole = measured()
        yield StreamEvent("measure")
        for count in range(1, 6):
            time.sleep(self.delay)
            so_far = replace(whole, baseline=whole.baseline[:count], crop=whole.crop[:count], peaks=())
            yield StreamEvent("measure", measured=so_far)
        if request.memory:
            yield StreamEvent("measure", measured=whole)

    def _specs(self, request: EngineRequest[Any]) -> Iterator[RunResult | RunError]:
        whole = Region.whole(*request.image.size)
        yield run_result(
            "Baseline", "none", whole, answer_probability=0.99, kl_first=0.0, trace=trace(whole, False, ())
        )
        for way in request.specs:
            time.sleep(self.delay)
            self.requested.append(way)
            if way.config.budget is not None and way.config.budget.mean_tokens == 7:
                yield RunError(way.name, way.config.method, "A budget of 7 tokens is too small.")
                continue
            own = way.region or next(iter(request.regions), None)
            own = own or Region(2, 1, 4, 3, *request.image.size, "predicted", 0.83)
            other = way.config.method == "random"
            said = {"text": "turtle", "same": False, "answer_probability": 0.2} if other else {}
            yield run_result(way.name, way.config.method, own, **said)

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
        yield StreamEvent("compare", "", result.regions)
        yield StreamEvent("done", "", result.regions, without_peaks(result))

    def comparison(self, request: EngineRequest[Any]) -> Comparison:
        """What every kind of request but "localize" is answered with."""
        first, *others = request.images
        own, *given = request.regions or (None,) * len(request.images)
        sizes = [other.size for other in others]
        known = {word.strip("?,.") for word in request.question.split()}
        unknown = sorted(known & {"xylophone"})
        options = {"changed": "sign" in known, "unknown_words": unknown, "history": list(request.history)}
        result = comparison(request.question, first.size, own, **options)
        found = [each or Region(5, 5, 6, 7, *size, "predicted", 0.6) for each, size in zip(given, sizes, strict=True)]
        return about_several(result, found)
