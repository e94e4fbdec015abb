"""Trace of every visual token in a run: plain arrays, to and from JSON. Knows nothing of torch, models or images.

N is the number of visual tokens of the vision encoder, M the number that enters the LLM (M <= N), L its decoder layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, computed_field

from crop_core.records.base import Array, Record, RecordError, limit, null
from crop_core.records.explanation import Explanation
from crop_core.records.region import Region, Side

MAX_TOKENS, MAX_LAYERS, MAX_CUTS, MAX_PIXEL = 20_000, 512, 64, 100_000  # in an untrusted file
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Index = Annotated[Ints, Array(np.int64, int, -1, MAX_TOKENS - 1)]
Box = Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
Pixel = Annotated[float, limit(2 * MAX_PIXEL, -MAX_PIXEL)]
PADDING, UNPLACED = -1, -2  # rings of tokens beside the image, and of those without a position (such as newline tokens)
SLIVER = 1e-6  # of a token's side: rounding puts no more of it on the image


class TraceError(RecordError):
    """Inconsistent arrays of a trace."""


class PruneStep(Record, error=TraceError, eq=False):
    """One cut: from decoder layer `layer` on, only the visual tokens `kept` are alive.

    kept: (K,) int, sorted indices into the M visual tokens that entered the LLM. scores: (M,) float, text-to-vision
    attention, NaN for pruned tokens (and for all if the method has no scores).
    """

    layer: Annotated[int, limit(MAX_LAYERS)]
    kept: Index
    scores: Annotated[Floats, Array(np.float64, FiniteFloat | None, -1e9, 1e9)]

    def __post_init__(self) -> None:
        if self.layer < 1 or not len(self.kept) or (np.diff(self.kept) <= 0).any():
            raise TraceError(
                f"A cut at layer {self.layer} needs a layer from 1 on and sorted, distinct tokens to keep."
            )

    def part(self, start: int, end: int) -> PruneStep:
        """The cut for tokens start..end-1 only, renumbered from 0: those of one of several images."""
        kept = self.kept[(self.kept >= start) & (self.kept < end)] - start
        return PruneStep(self.layer, kept, self.scores[start:end])


class TokenTrace(
    Record,
    error=TraceError,
    keys="image_size visible region boxes in_region group ring layers steps view padding explanation",
    eq=False,
):
    """Trace of the N visual tokens of one image in one run.

    image_size: (width, height) px of the original. boxes: (N, 4) left, top, right, bottom px; NaN rows have no
    position. visible: px box of the part that reaches the model. in_region: (N,) bool. layers: L. group: (N,) int, the
    LLM input token 0..M-1 that each token went into, -1 if it was dropped before the LLM. ring: (N,) int, 0 = the
    region (all 0 where nothing was compressed), 1.. = rings from near to far. steps: the cuts inside the LLM, by rising
    layer. view: (N,) int, the grid of each token for models with several views (0 an overview, 1 its tiles), -1 for
    tokens without a position; None stands for all 0. explanation: how the region came about, None where it was drawn or
    the file is of an earlier version. Raises TraceError for inconsistent arrays.
    """

    image_size: tuple[Side, Side]
    boxes: Annotated[Floats, Array(np.float64, Box | None, -MAX_PIXEL, 2 * MAX_PIXEL, 4)]
    visible: tuple[Pixel, Pixel, Pixel, Pixel]
    region: Region
    in_region: Annotated[NDArray[np.bool_], Array(np.bool_, bool, 0, 1)]
    group: Annotated[Index, limit(MAX_TOKENS)]
    ring: Annotated[Ints, Array(np.int64, int, 0, 64)]
    layers: Annotated[int, limit(MAX_LAYERS, 1)]
    steps: Annotated[list[PruneStep], limit(MAX_CUTS)] = field(default_factory=list)
    view: Annotated[Ints, Array(np.int64, int, -1, 8), null(None)] = None  # type: ignore[assignment]
    explanation: Explanation | None = None

    def __post_init__(self) -> None:
        count = len(self.group)
        if self.view is None:
            object.__setattr__(self, "view", np.zeros(count, dtype=np.int64))
        if self.boxes.shape != (count, 4) or {self.in_region.shape, self.ring.shape, self.view.shape} != {(count,)}:
            raise TraceError(
                f"{count} tokens with boxes {self.boxes.shape}, in_region {self.in_region.shape}, "
                f"ring {self.ring.shape} and view {self.view.shape}."
            )
        filled = np.unique(self.group[self.group >= 0])
        if not self.input_tokens or len(filled) != self.input_tokens or (self.group < -1).any():
            raise TraceError(
                "At least one token enters the LLM, and each that does, 0 to M-1, has visual tokens in its group."
            )
        self._check_steps()

    def _check_steps(self) -> None:
        alive, layer = np.ones(self.input_tokens, dtype=bool), 0
        for step in self.steps:
            valid = step.kept[0] >= 0 and step.kept[-1] < len(alive) and alive[step.kept].all()
            if not layer < step.layer < self.layers or not valid or len(step.scores) != self.input_tokens:
                raise TraceError(
                    f"The cut at layer {step.layer} of {self.layers} is out of order, keeps tokens that are gone, "
                    f"or has {len(step.scores)} scores for {self.input_tokens} tokens."
                )
            alive, layer = np.zeros_like(alive), step.layer
            alive[step.kept] = True

    @computed_field  # type: ignore[prop-decorator]
    @property
    def padding(self) -> Annotated[NDArray[np.bool_], Array(np.bool_, bool, 0, 1)]:
        """(N,) whether a token lies beside the image: it has a position, and no pixel of it is on the image."""
        start, end = self.boxes[:, :2], self.boxes[:, 2:]
        inside = np.minimum(end, self.image_size) - np.maximum(start, 0.0)  # (N, 2) px of each side on the image
        placed = np.asarray(np.isfinite(self.boxes).all(axis=1))
        return placed & ~np.asarray((inside > SLIVER * (end - start)).all(axis=1))

    @property
    def on_image(self) -> NDArray[np.bool_]:
        """(N,) whether a token shows part of the image: it is no padding, and has a position, unlike newline tokens."""
        placed = np.asarray(np.isfinite(self.boxes).all(axis=1))
        return placed & ~self.padding

    @property
    def shown_ring(self) -> Ints:
        """(N,) `ring`; PADDING or UNPLACED for tokens that show no part of the image, whatever they are pooled with."""
        beside = np.where(self.padding, PADDING, UNPLACED)
        return np.where(self.on_image, self.ring, beside)

    @property
    def input_ring(self) -> Ints:
        """(M,) ring of each LLM input token: the nearest of its members that show part of the image, if any does."""
        best = np.full(self.input_tokens, UNPLACED, dtype=np.int64)
        order = [UNPLACED, PADDING, *sorted(set(self.shown_ring[self.on_image].tolist()), reverse=True)]
        for ring in order:  # from the weakest to the strongest
            best[self.group[(self.shown_ring == ring) & (self.group >= 0)]] = ring
        return best

    @property
    def padding_tokens(self) -> int:
        """Number of the N tokens that are padding."""
        return int(self.padding.sum())

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
        """Mean number of visual tokens per decoder layer, the figure of budgets."""
        return float(self.alive_counts.mean()) if self.layers else 0.0

    @property
    def final_tokens(self) -> int:
        """Visual tokens in the last layer."""
        return int(self.alive_counts[-1]) if self.layers else self.input_tokens

    @property
    def died_at(self) -> Ints:
        """(N,) first layer from which each visual token is pruned: 0 = dropped before the LLM, L = survived."""
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


def region_notices(traces: Sequence[TokenTrace], budget: object = None) -> list[str]:
    """Notices of easily misread runs: nothing pruned, region tokens lost, region not visible to the model.

    traces: one per image. budget: in words, if there is one.
    """
    notices = []
    total = sum(trace.visual_tokens for trace in traces)
    if sum(trace.mean_tokens for trace in traces) >= total:
        notices.append(
            f"Nothing was pruned: {f'a budget of {budget} keeps' if budget else 'these settings keep'} all {total} "
            "visual tokens in every layer, so there is no saving."
        )
    for number, trace in enumerate(traces, 1):
        which = f"Image {number}: " if len(traces) > 1 else ""
        notices += [which + sentence for sentence in _region_notices(trace)]
    return notices


def _region_notices(trace: TokenTrace) -> list[str]:
    notices = []
    if not trace.in_region.any():
        notices.append(
            "No visual token lies in the region: it is smaller than a token, or the model does not see that part."
        )
    total, lost = int(trace.in_region.sum()), int((trace.in_region & ~_is_read(trace)).sum())
    if lost and total > trace.alive_counts[trace.layers // 2] and not trace.region.is_whole:
        notices.append(
            f"The region did not fit into the budget: {lost} of its {total} visual tokens were dropped, pooled, or "
            "pruned in the first half of the layers."
        )
    return notices


def _is_read(trace: TokenTrace) -> np.ndarray:
    """(N,) bool: whether the token, unpooled, is alive in more than half of the layers, where the text reads it."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    alone = np.where(trace.group < 0, 0, sizes[trace.group]) == 1
    return alone & (2 * trace.died_at > trace.layers)
