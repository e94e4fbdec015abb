"""What happened to every visual token: plain arrays, JSON both ways. Knows nothing of torch, models or pictures.

N is the number of visual tokens of the vision encoder, M the number that enters the LLM (M <= N), L its decoder layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crop_core.region import Region

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class TraceError(ValueError):
    """Arrays that do not describe one run."""


@dataclass(frozen=True, eq=False)
class PruneStep:
    """One cut: from decoder layer `layer` on, only the visual tokens `kept` are there.

    kept: (K,) int, sorted indices into the M visual tokens that entered the LLM. scores: (M,) float, text-to-vision
    attention, NaN where a token was already gone (and everywhere when the method did not score).
    """

    layer: int
    kept: Ints
    scores: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "kept", np.asarray(self.kept, dtype=np.int64).reshape(-1))
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64).reshape(-1))
        if self.layer < 1 or not len(self.kept) or (np.diff(self.kept) <= 0).any():
            raise TraceError(
                f"A cut at layer {self.layer} needs a layer from 1 on and sorted, distinct tokens to keep."
            )

    def part(self, start: int, end: int) -> PruneStep:
        """The same cut for the tokens start..end-1 alone, counted from 0 on: those of one of several images."""
        kept = self.kept[(self.kept >= start) & (self.kept < end)] - start
        return PruneStep(self.layer, kept, self.scores[start:end])

    def to_json(self) -> dict[str, Any]:
        """Plain values; a NaN score is null."""
        return {"layer": self.layer, "kept": self.kept.tolist(), "scores": numbers(self.scores)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PruneStep:
        """Inverse of `to_json`."""
        return cls(data["layer"], np.array(data["kept"], dtype=np.int64), array(data["scores"]))


@dataclass(frozen=True, eq=False)
class TokenTrace:
    """The fate of the N visual tokens of one image in one run.

    image_size: (width, height) px of the original. boxes: (N, 4) left, top, right, bottom px; a NaN row has no place.
    visible: px box of what reaches the model. in_region: (N,) bool. layers: L.
    group: (N,) int, the LLM input token 0..M-1 that each token went into, -1 when it was dropped before the LLM.
    ring: (N,) int, 0 = the region (all 0 where nothing was compressed), 1.. = rings from near to far.
    steps: the cuts inside the LLM, by rising layer. view: (N,) int, the grid that each token belongs to where a model
    sees the image more than once (0 an overview, 1 its tiles), -1 for tokens without a place; None stands for all 0.
    Raises TraceError when these do not fit together.
    """

    image_size: tuple[int, int]
    boxes: Floats
    visible: tuple[float, float, float, float]
    region: Region
    in_region: Bools
    group: Ints
    ring: Ints
    layers: int
    steps: list[PruneStep] = field(default_factory=list)
    view: Ints = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.view is None:
            object.__setattr__(self, "view", np.zeros(len(self.group)))
        kinds = {"boxes": np.float64, "in_region": np.bool_, "group": np.int64, "ring": np.int64, "view": np.int64}
        for name, kind in kinds.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=kind))
        count = len(self.group)
        if self.boxes.shape != (count, 4) or {self.in_region.shape, self.ring.shape, self.view.shape} != {(count,)}:
            raise TraceError(
                f"{count} tokens with boxes {self.boxes.shape}, in_region {self.in_region.shape}, "
                f"ring {self.ring.shape} and view {self.view.shape}."
            )
        if not self.input_tokens or set(self.group.tolist()) - {-1} != set(range(self.input_tokens)):
            raise TraceError(
                "At least one token enters the LLM, and each that does, 0 to M-1, has visual tokens in its group."
            )
        self._check_steps()

    def _check_steps(self) -> None:
        alive, layer = set(range(self.input_tokens)), 0
        for step in self.steps:
            kept = set(step.kept.tolist())
            if not layer < step.layer < self.layers or not kept <= alive or len(step.scores) != self.input_tokens:
                raise TraceError(
                    f"The cut at layer {step.layer} of {self.layers} is out of order, keeps tokens that are gone, "
                    f"or has {len(step.scores)} scores for {self.input_tokens} tokens."
                )
            alive, layer = kept, step.layer

    @property
    def visual_tokens(self) -> int:
        """N."""
        return len(self.group)

    @property
    def input_tokens(self) -> int:
        """M, visual tokens that entered the LLM."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def alive_counts(self) -> Ints:
        """(L,) visual tokens in each decoder layer."""
        counts = np.full(self.layers, self.input_tokens, dtype=np.int64)
        for step in self.steps:
            counts[step.layer :] = len(step.kept)
        return counts

    @property
    def mean_tokens(self) -> float:
        """Mean number of visual tokens per decoder layer, the figure that budgets are compared at."""
        return float(self.alive_counts.mean()) if self.layers else 0.0

    @property
    def final_tokens(self) -> int:
        """Visual tokens in the last layer."""
        return int(self.alive_counts[-1]) if self.layers else self.input_tokens

    @property
    def died_at(self) -> Ints:
        """(N,) first layer from which each visual token is gone: 0 = dropped before the LLM, L = survived."""
        died = np.full(self.input_tokens, self.layers, dtype=np.int64)  # (M,)
        for step in reversed(self.steps):
            gone = np.ones(self.input_tokens, dtype=bool)
            gone[step.kept] = False
            died[gone] = step.layer
        return self._spread(died, 0)

    def score(self, step: int) -> Floats:
        """(N,) score of each visual token at cut number `step`, that of its group; NaN when it had none."""
        return self._spread(self.steps[step].scores, np.nan)

    def unpruned(self) -> TokenTrace:
        """The trace of the baseline: the same tokens, none pooled and none dropped."""
        count = self.visual_tokens
        return replace(self, group=np.arange(count), ring=np.zeros(count, dtype=np.int64), steps=[])

    def _spread(self, values: NDArray[Any], missing: float) -> NDArray[Any]:
        """(M,) values of LLM input tokens as (N,) values of visual tokens."""
        return np.where(self.group < 0, missing, values[self.group]).astype(values.dtype)

    def to_json(self) -> dict[str, Any]:
        """Plain values, valid JSON: tokens without a place and missing scores are null."""
        return {
            "image_size": list(self.image_size),
            "visible": list(self.visible),
            "region": self.region.to_json(),
            "boxes": [None if np.isnan(row).any() else row.tolist() for row in self.boxes],
            "in_region": self.in_region.tolist(),
            "group": self.group.tolist(),
            "ring": self.ring.tolist(),
            "layers": self.layers,
            "steps": [step.to_json() for step in self.steps],
            "view": self.view.tolist(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TokenTrace:
        """Inverse of `to_json`."""
        boxes = [[np.nan] * 4 if row is None else row for row in data["boxes"]]
        width, height = data["image_size"]
        left, top, right, bottom = data["visible"]
        return cls(
            (width, height),
            np.array(boxes, dtype=np.float64),
            (left, top, right, bottom),
            Region.from_json(data["region"]),
            np.array(data["in_region"], dtype=bool),
            np.array(data["group"], dtype=np.int64),
            np.array(data["ring"], dtype=np.int64),
            data["layers"],
            [PruneStep.from_json(step) for step in data["steps"]],
            np.array(data.get("view") or [0] * len(data["group"]), dtype=np.int64),
        )


def numbers(values: Floats) -> list[float | None]:
    """An array as JSON numbers; what JSON cannot say (NaN, infinity) is null."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


def array(values: list[float | None]) -> Floats:
    """Inverse of `numbers`: null becomes NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
