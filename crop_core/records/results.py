"""Results of an engine: answers, comparisons and stream events; to and from JSON. No torch; JSON has no images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import Annotated, Any

from PIL import Image
from pydantic import BeforeValidator, Field, PlainValidator

from crop_core.records.attention import Attention
from crop_core.records.base import FINITE, Prose, Record, RecordError, Word, limit, null
from crop_core.records.config import MAX_SEED, CropConfig
from crop_core.records.cost import Cost
from crop_core.records.region import Region
from crop_core.records.timing import Measured
from crop_core.records.trace import TokenTrace
from crop_core.records.verdict import verdict
from crop_core.records.views import ComparisonViews

STAGES = ("localize", "baseline", "crop", "compare", "measure", "done")
MAX_IMAGES = 9  # in an untrusted file
Seed = Annotated[int, limit(MAX_SEED)]
LogProb = Annotated[float, limit(1e-3, -1e6)]  # nats; rounding may exceed 0
Divergence = Annotated[float, limit(1e9, -1e-3)]  # nats
Regions = Annotated[
    tuple[Region, ...], BeforeValidator(lambda given: (given,) if isinstance(given, (Region, dict)) else given)
]


def _opened(given: Any) -> tuple[Image.Image, ...]:
    """Images that are open; what a file has in their place is left out."""
    several = given if isinstance(given, (list, tuple)) else ()
    return tuple(several) if all(isinstance(each, Image.Image) for each in several) else ()


class TokenProb(Record):
    """One generated token: log-probability (nats) in its own run, and in the other run with the same text forced (None:
    no other run). JSON holds null for minus infinity.
    """

    text: Prose
    logprob: Annotated[LogProb, null(-math.inf), FINITE]
    other_logprob: Annotated[LogProb | None, FINITE] = None


class Answer(Record, keys="answer tokens cost cut", eq=False):
    """One answer: text, generated tokens, cost and traces of the visual tokens.

    cut: whether max_new_tokens ended it, and no end token; false in files of earlier versions. traces:
    one per image; a comparison's file holds them beside its answers. method, budget, unknown_words and notices: as in
    Comparison, of an answer that was asked for alone.
    """

    text: Annotated[Prose, Field(alias="answer")]
    tokens: Annotated[list[TokenProb], limit(10_000)]
    cost: Cost
    traces: Annotated[tuple[TokenTrace, ...], limit(MAX_IMAGES), Field(exclude=True)] = ()
    cut: bool = False
    notices: Annotated[list[Prose], limit(50), Field(exclude=True)] = field(default_factory=list)
    unknown_words: Annotated[list[Word], limit(500), Field(exclude=True)] = field(default_factory=list)
    method: Annotated[Word, Field(exclude=True)] = ""
    budget: Annotated[Word, Field(exclude=True)] = ""

    @property
    def trace(self) -> TokenTrace:
        """Trace of the first image."""
        return self.traces[0]

    def measured(self, measured: Measured) -> Answer:
        """With what was measured of the pruned run, whose answer this is."""
        return replace(self, cost=self.cost.measured(measured.crop, measured.peaks[1:]))

    def total(self, name: str) -> float:
        """A count of TokenTrace, such as "mean_tokens", summed over all images."""
        return sum(getattr(trace, name) for trace in self.traces)

    def to_json(self, with_trace: bool = True) -> dict[str, Any]:
        """answer, tokens, cost, cut and, if `with_trace`, the traces of the first image and of the others."""
        first, *others = (trace.to_json() for trace in self.traces) if with_trace else (None,)
        return {**super().to_json(), **({"trace": first, "others": others} if with_trace else {})}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Answer:
        """Inverse of `to_json`."""
        traces = map(TokenTrace.from_json, (data["trace"], *data.get("others", [])))
        return replace(super().from_json(data), traces=tuple(traces))


class Comparison(
    Record,
    ComparisonViews,
    keys="question history image model device dtype method budget seed localizer region tokens:token_counts baseline "
    "crop same verdict kl_first unknown_words unfamiliar notices made trace others attention",
    eq=False,
):
    """One question answered by the baseline, with all visual tokens, and with CROP.

    regions: one per image. kl_first: KL(baseline || crop) in nats of the first token's distribution. method and budget:
    of the CROP run, as text. seed: that its method drew tokens from, None for a method that draws none. localizer: as
    in `CropConfig`, "predicted" where the region was drawn. unknown_words: words of the question outside the model's
    vocabulary. unfamiliar: whether an image is unlike those that the model was trained on, where its checkpoint can
    tell. notices: for the user. history: earlier questions about the same images and their answers. made: date and
    versions (`run_environment`); empty in files of earlier versions. images: those that it is about, RGB, where
    `CropEngine.compare` made it. attention: where the model looked, as far as it was asked for: at most one of each run
    and image.

    JSON holds the traces of the CROP run, first and others, for both answers: the baseline's are the same with nothing
    pruned.
    """

    question: Prose
    model: Word
    device: Word
    dtype: Word
    regions: Annotated[Regions, limit(MAX_IMAGES), Field(validation_alias="region", exclude=True)]
    baseline: Answer
    crop: Answer
    kl_first: Annotated[Divergence, null(math.inf), FINITE]
    method: Word
    budget: Word
    unknown_words: Annotated[list[Word], limit(500)] = field(default_factory=list)
    notices: Annotated[list[Prose], limit(50)] = field(default_factory=list)
    unfamiliar: bool = False
    history: Annotated[list[tuple[Prose, Prose]], limit(100)] = field(default_factory=list)
    made: Annotated[dict[Word, Word], limit(20)] = field(default_factory=dict)
    images: Annotated[tuple[Image.Image, ...], PlainValidator(_opened), Field(exclude=True)] = ()
    attention: Annotated[list[Attention], limit(2 * MAX_IMAGES)] = field(default_factory=list)
    seed: Seed | None = None
    localizer: Word = "predicted"
    first: InitVar[Annotated[TokenTrace | None, Field(validation_alias="trace")]] = None
    rest: InitVar[Annotated[list[TokenTrace], Field(validation_alias="others"), limit(MAX_IMAGES - 1)]] = ()

    def __post_init__(self, first: TokenTrace | None, rest: list[TokenTrace]) -> None:
        if first is not None:
            traces = (first, *rest)
            full = tuple(trace.unpruned() for trace in traces)
            object.__setattr__(self, "crop", replace(self.crop, traces=traces))
            object.__setattr__(self, "baseline", replace(self.baseline, traces=full))
            object.__setattr__(self, "regions", (*self.regions[:1], *(trace.region for trace in rest)))
        counts = [len(each) for each in (self.regions, self.baseline.traces, self.crop.traces)]
        if not counts[0] or len(set(counts)) > 1:
            raise RecordError(
                f"Every image needs a region and a trace of each run, not {counts[0]}, {counts[1]} and {counts[2]}."
            )
        for looked in self.attention:
            if looked.image >= counts[0]:
                raise RecordError(f"There is attention to image {looked.image + 1}, but there are {counts[0]} images.")
            looked.check_fits(self.crop.traces[looked.image])

    def __repr__(self) -> str:
        """The question and both answers; the whole takes pages."""
        answers = f"baseline={self.baseline.text!r}, crop={self.crop.text!r}"
        return f"Comparison(question={self.question!r}, {answers}, method={self.method!r}, budget={self.budget!r}, ...)"

    @property
    def region(self) -> Region:
        """Region in the first image."""
        return self.regions[0]

    @property
    def same(self) -> bool:
        """Whether both runs gave the same text."""
        return self.baseline.text == self.crop.text

    @property
    def verdict(self) -> str:
        """Tone of the verdict, as `crop_core.records.verdict` says: same, less_sure, changed or guess."""
        return verdict(self)

    def measured(self, measured: Measured) -> Comparison:
        """With what was measured of both runs."""
        cost = self.baseline.cost.measured(measured.baseline, measured.peaks[:1])
        return replace(self, baseline=replace(self.baseline, cost=cost), crop=self.crop.measured(measured))

    def looked(self, found: Sequence[Attention]) -> Comparison:
        """With this attention, in place of the same run's; AttentionError where it is not of these runs."""
        new = {(each.is_baseline, each.image): each for each in (*self.attention, *found)}
        return replace(self, attention=[*new.values()])

    def attention_to(self, image: int, baseline: bool) -> Attention | None:
        """Attention of one of the two runs to an image, by its number from 0; None where it was not asked for."""
        return next((each for each in self.attention if (each.is_baseline, each.image) == (baseline, image)), None)

    @property
    def same_words(self) -> tuple[int, int]:
        """Words that both answers begin with, and words of the longer one."""
        answers = self.baseline.text.split(), self.crop.text.split()
        differ = [one != other for one, other in zip(*answers, strict=False)]
        return (differ.index(True) if True in differ else len(differ)), max(map(len, answers))

    @property
    def image(self) -> dict[str, int]:
        """Size of the first image in pixels."""
        return dict(zip(("width", "height"), self.trace.image_size, strict=True))

    @property
    def token_counts(self) -> dict[str, float]:
        """Visual tokens of all images: from the encoder, padding among them, into the LLM, mean per layer, in the last
        layer.
        """
        names = {
            "visual": "visual_tokens",
            "padding": "padding_tokens",
            "after_plc": "input_tokens",
            "mean_per_layer": "mean_tokens",
        }
        return {key: self.crop.total(name) for key, name in {**names, "final": "final_tokens"}.items()}

    @property
    def trace(self) -> TokenTrace:
        """Trace of the CROP run, first image."""
        return self.crop.trace

    @property
    def others(self) -> tuple[TokenTrace, ...]:
        """Traces of the CROP run, images after the first."""
        return self.crop.traces[1:]


@dataclass(frozen=True)
class RunSpec:
    """One of several runs of a question. region: None for the shared one, or as `config.localizer` says."""

    name: str
    config: CropConfig
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class RunResult:
    """Result of a RunSpec. answer_probability: its probability (0..1) of the whole answer of the baseline.

    same: whether it gives that answer. kl_first: KL(baseline || this run) of the first token, nats. localizer_s and
    localizer_flops (None: not counted): of the localizer, not included in the other figures. Times are of one run
    without warm-up, including image encoding. model, device, dtype, made: as in Comparison.
    """

    name: str
    method: str
    text: str
    same: bool
    answer_probability: float
    kl_first: float
    region: Region
    trace: TokenTrace
    ttft_s: float
    kv_bytes: int
    flops: int
    localizer_s: float = 0.0
    localizer_flops: int | None = 0
    model: str = ""
    device: str = ""
    dtype: str = ""
    made: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunError:
    """A failed run, and the reason in one sentence."""

    name: str
    method: str
    why: str


@dataclass(frozen=True, eq=False)
class StreamEvent:
    """One step of a stream. stage: one of STAGES, in progress. text: the whole answer of that stage so far.
    regions: one per image, empty before they are known. measured: of the stage "measure", what is measured so far.
    """

    stage: str
    text: str = ""
    regions: tuple[Region, ...] = ()
    comparison: Comparison | None = None
    measured: Measured | None = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"The stage {self.stage!r} is not one of {', '.join(STAGES)}.")

    @property
    def region(self) -> Region | None:
        """Region in the first image."""
        return self.regions[0] if self.regions else None
