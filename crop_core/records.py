"""What an engine returns: answers, their comparison, and the events of a stream; JSON both ways. No torch, no
pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

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
    """One answer: its text, its tokens, what it cost and what happened to the visual tokens."""

    text: str
    tokens: list[TokenProb]
    cost: Cost
    trace: TokenTrace

    def to_json(self, with_trace: bool = True) -> dict[str, Any]:
        """answer, tokens, cost and, unless told otherwise, trace."""
        data = {"answer": self.text, "tokens": [token.to_json() for token in self.tokens], "cost": self.cost.to_json()}
        return {**data, "trace": self.trace.to_json()} if with_trace else data

    @classmethod
    def from_json(cls, data: dict[str, Any], trace: TokenTrace | None = None) -> Answer:
        """Inverse of `to_json`; `trace` stands in for one that was left out."""
        tokens = [TokenProb.from_json(token) for token in data["tokens"]]
        return cls(data["answer"], tokens, Cost.from_json(data["cost"]), trace or TokenTrace.from_json(data["trace"]))


@dataclass(frozen=True, eq=False)
class Comparison:
    """The same question answered with every visual token (baseline) and with CROP.

    kl_first: KL(baseline || crop) in nats of the first token's distribution. method and budget: what CROP was told, in
    words.
    unknown_words: words of the question outside the model's vocabulary. notices: what the user must be told besides.
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
            "image": {"width": width, "height": height},
            "model": self.model,
            "device": self.device,
            "dtype": self.dtype,
            "method": self.method,
            "budget": self.budget,
            "region": self.region.to_json(),
            "tokens": {
                "visual": trace.visual_tokens,
                "after_plc": trace.input_tokens,
                "mean_per_layer": trace.mean_tokens,
                "final": trace.final_tokens,
            },
            "baseline": self.baseline.to_json(with_trace=False),
            "crop": self.crop.to_json(with_trace=False),
            "same": self.same,
            "kl_first": _finite(self.kl_first),
            "unknown_words": list(self.unknown_words),
            "notices": list(self.notices),
            "trace": trace.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Comparison:
        """Inverse of `to_json`."""
        trace = TokenTrace.from_json(data["trace"])
        kl = data["kl_first"]
        return cls(
            data["question"],
            data["model"],
            data["device"],
            data["dtype"],
            Region.from_json(data["region"]),
            Answer.from_json(data["baseline"], trace.unpruned()),
            Answer.from_json(data["crop"], trace),
            math.inf if kl is None else kl,
            data["method"],
            data["budget"],
            data["unknown_words"],
            data["notices"],
        )


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


def _finite(value: float | None) -> float | None:
    """JSON has no infinity and no NaN: null stands for both."""
    return value if value is not None and math.isfinite(value) else None
