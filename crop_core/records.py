"""What an engine returns: answers, their comparison, and the events of a stream; JSON both ways. No torch, no
pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crop_core.config import CropConfig
from crop_core.measure.cost import Cost
from crop_core.region import Region
from crop_core.trace import TokenTrace

STAGES = ("localize", "baseline", "crop", "measure", "done")


@dataclass(frozen=True)
class TokenProb:
    """One generated token: log-probability (nats) in its own run, and in the other run fed with the same text (None: no
    other).
    """

    text: str
    logprob: float
    other_logprob: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; a log-probability of minus infinity is null."""
        return {"text": self.text, "logprob": _finite(self.logprob), "other_logprob": _finite(self.other_logprob)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenProb:
        """Inverse of `to_json`; a null other_logprob stays None."""
        own = data["logprob"]
        return cls(data["text"], -math.inf if own is None else own, data["other_logprob"])


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer: its text, its tokens, what it cost and what happened to the visual tokens.

    trace: of the first image. others: of the images after it.
    """

    text: str
    tokens: list[TokenProb]
    cost: Cost
    trace: TokenTrace
    others: list[TokenTrace] = field(default_factory=list)

    @property
    def traces(self) -> list[TokenTrace]:
        """One an image."""
        return [self.trace, *self.others]

    def total(self, name: str) -> float:
        """A count of TokenTrace, such as "mean_tokens", summed over all images."""
        return sum(getattr(trace, name) for trace in self.traces)

    def to_json(self, with_trace: bool = True) -> dict[str, Any]:
        """answer, tokens, cost and, unless told otherwise, trace and others."""
        data = {"answer": self.text, "tokens": [token.to_json() for token in self.tokens], "cost": self.cost.to_json()}
        traces = {"trace": self.trace.to_json(), "others": [trace.to_json() for trace in self.others]}
        return {**data, **traces} if with_trace else data

    @classmethod
    def from_json(cls, data: dict[str, Any], traces: Sequence[TokenTrace] = ()) -> Answer:
        """Inverse of `to_json`; `traces` stand in for those that were left out."""
        tokens = [TokenProb.from_json(token) for token in data["tokens"]]
        first, *others = traces or _traces(data)
        return cls(data["answer"], tokens, Cost.from_json(data["cost"]), first, others)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The same question answered with every visual token (baseline) and with CROP.

    region: in the first image; those in others are in their traces. kl_first: KL(baseline || crop) in nats of the first
    token's distribution. method and budget: what CROP was told, in words. unknown_words: words of the question outside
    the model's vocabulary. notices: what the user must be told besides. history: earlier questions about the same
    images and their answers. made: when, and with which versions (`run_environment`); empty in files of earlier ones.
    """

    question: str
    model: str
    device: str
    dtype: str
    region: Region
    baseline: Answer
    crop: Answer
    kl_first: float
    method: str
    budget: str
    unknown_words: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    history: list[tuple[str, str]] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether both runs gave the same text."""
        return self.baseline.text == self.crop.text

    def to_json(self) -> dict[str, Any]:
        """One object that the command line writes and the app can redraw; see the README for its fields.

        The trace is that of the CROP run; the baseline's is the same with nothing pruned, and is not written.
        """
        trace = self.crop.trace
        width, height = trace.image_size
        return {
            "question": self.question,
            "history": [list(turn) for turn in self.history],
            "image": {"width": width, "height": height},
            "model": self.model,
            "device": self.device,
            "dtype": self.dtype,
            "method": self.method,
            "budget": self.budget,
            "region": self.region.to_json(),
            "tokens": {
                "visual": self.crop.total("visual_tokens"),
                "after_plc": self.crop.total("input_tokens"),
                "mean_per_layer": self.crop.total("mean_tokens"),
                "final": self.crop.total("final_tokens"),
            },
            "baseline": self.baseline.to_json(with_trace=False),
            "crop": self.crop.to_json(with_trace=False),
            "same": self.same,
            "kl_first": _finite(self.kl_first),
            "unknown_words": list(self.unknown_words),
            "notices": list(self.notices),
            "made": dict(self.made),
            "trace": trace.to_json(),
            "others": [other.to_json() for other in self.crop.others],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Comparison:
        """Inverse of `to_json`."""
        traces = _traces(data)
        kl = data["kl_first"]
        return cls(
            data["question"],
            data["model"],
            data["device"],
            data["dtype"],
            Region.from_json(data["region"]),
            Answer.from_json(data["baseline"], [trace.unpruned() for trace in traces]),
            Answer.from_json(data["crop"], traces),
            math.inf if kl is None else kl,
            data["method"],
            data["budget"],
            data["unknown_words"],
            data["notices"],
            [(question, answer) for question, answer in data.get("history", [])],
            dict(data.get("made", {})),
        )


@dataclass(frozen=True)
class Way:
    """One of many ways to ask a question. region: None for the one that all ways share."""

    name: str
    config: CropConfig
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class Told:
    """What one way told. chance: the probability (0..1) that it gives to the whole answer of every visual token.

    same: whether it gives that answer itself. kl_first: KL(every token || this way) of the first token, nats.
    localizer_s and localizer_flops: of finding the region, in none of the others. Times are of one run without a
    warm-up, that of encoding the image included. model, device, dtype, made: as in Comparison.
    """

    name: str
    method: str
    text: str
    same: bool
    chance: float
    kl_first: float
    region: Region
    trace: TokenTrace
    ttft_s: float
    kv_bytes: int
    flops: int
    localizer_s: float = 0.0
    localizer_flops: int = 0
    model: str = ""
    device: str = ""
    dtype: str = ""
    made: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A way that could not be asked, and why, in one sentence."""

    name: str
    method: str
    why: str


@dataclass(frozen=True, eq=False)
class StreamEvent:
    """One step of a stream. stage: one of STAGES, the work now under way. text: the answer of that stage so far,
    whole.
    """

    stage: str
    text: str = ""
    region: Region | None = None
    comparison: Comparison | None = None

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"The stage {self.stage!r} is not one of {', '.join(STAGES)}.")


def _traces(data: dict[str, Any]) -> list[TokenTrace]:
    """One an image; files of earlier versions know of one alone."""
    return [TokenTrace.from_json(each) for each in (data["trace"], *data.get("others", []))]


def _finite(value: float | None) -> float | None:
    """JSON has no infinity and no NaN: null stands for both."""
    return value if value is not None and math.isfinite(value) else None
