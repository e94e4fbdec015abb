"""One question about one image, run once: with every visual token (baseline) or with CROP, and what that run took.

Every run starts from the image itself, so that preprocessing and the vision tower are in its time, unless it is given
what they made of it. Knows nothing of medians, streams or comparisons.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crop_core.compress import CompressionPlan, compress_inputs
from crop_core.compress import registry as compressors
from crop_core.config import CropConfig, IlpConfig
from crop_core.generation import Generated, generate
from crop_core.localize import Finding, Localizer
from crop_core.measure.flops import pooling_flops, prefill_flops, scoring_flops
from crop_core.measure.timing import StageTimer, now
from crop_core.models import Adapter, PreparedInputs, TokenLayout
from crop_core.prune import LayerPruning, VisualTokens, schedule
from crop_core.prune import registry as pruners
from crop_core.region import Region
from crop_core.trace import PruneStep, TokenTrace


@dataclass(frozen=True)
class Run:
    """One finished run. stages: seconds by name; ttft_s and total_s do not contain the localizer."""

    generated: Generated
    trace: TokenTrace
    stages: dict[str, float]
    ttft_s: float
    total_s: float
    flops: int


@dataclass(frozen=True)
class Counts:
    """What a budget comes to. tokens: visual tokens that PLC leaves, None where its ratios decide. mean: per layer.

    inner: how the pruner cuts and scores.
    """

    visual: int
    tokens: int | None
    mean: float | None
    inner: IlpConfig


@dataclass(frozen=True)
class Encoded:
    """What preprocessing and the vision tower make of one question about one image; any number of runs may read it."""

    prepared: PreparedInputs
    features: Any


@dataclass
class Task:
    """A question about an RGB image, and how to run it; raises ValueError for a budget that cannot be met.

    encoded: of this image and question, from `encode`; runs then start from it, and its time is in none of theirs.
    """

    adapter: Adapter
    image: Image.Image
    question: str
    config: CropConfig
    encoded: Encoded | None = None
    counts: Counts = field(init=False)
    first: int = field(init=False)  # decoder layer that can be cut

    def __post_init__(self) -> None:
        self.first = self.adapter.stack.first_prunable
        self.counts = _counts(self.config, self.adapter.layout(self.image.size).count, self.adapter.layers, self.first)

    def encode(self) -> Encoded:
        """Preprocessing and the vision tower, for `encoded` of other tasks about the same image and question."""
        prepared = self.adapter.prepare(self.image, self.question)
        return Encoded(prepared, self.adapter.encode(prepared))

    def localize(self, localizer: Localizer) -> tuple[Finding, float]:
        """The region, and the seconds that it took."""
        start = now(self.adapter.device)
        finding = localizer.find(self.image, self.question)
        return finding, now(self.adapter.device) - start

    def baseline(self, region: Region, **how: Any) -> Run:
        """Every visual token in every layer; region is only recorded. how: on_token, forced, keep_logits."""
        return self._run(region, None, None, **how)

    def crop(self, region: Region, **how: Any) -> Run:
        """With the compressor and pruner of the config."""
        return self._run(region, self.config.parts.compressor, self.config.parts.pruner, **how)

    @torch.inference_mode()
    def _run(self, region: Region, compressor: str | None, pruner: str | None, **how: Any) -> Run:
        timer = StageTimer(self.adapter.device)
        start = now(self.adapter.device)
        with timer.stage("encode"):
            encoded = self.encoded or self.encode()
            layout = self.adapter.layout(self.image.size)
        with timer.stage("compression") if compressor else nullcontext():
            plan = self._plan(compressor, layout, region)
            inputs, visual = self._inputs(compressor, encoded, plan)
        pruning = self._pruning(pruner, plan.inside(region.mask(layout.boxes)), visual)
        out, steps = self._generate(inputs, pruning, timer, how)
        trace = _trace(layout, region, plan, steps, self.adapter.layers)
        flops = self._flops(trace, visual, encoded.prepared)
        if compressor:
            levels = 1 + len(getattr(encoded.features, "deepstack_features", None) or [])
            rows = 1 if encoded.prepared.positions is None else len(encoded.prepared.positions)
            flops += pooling_flops(self.adapter.model.config, plan.count, layout.count, levels, rows)
        times = (out.first_token - start, out.finished - start)
        return Run(out, trace, dict(timer.seconds), *times, flops)

    def _generate(
        self, inputs: dict[str, Any], pruning: LayerPruning | None, timer: StageTimer, how: dict[str, Any]
    ) -> tuple[Generated, list[PruneStep]]:
        """Generate with the pruning's hooks on; prefill is what lies before the first token beside the scoring."""
        steps: list[PruneStep] = []
        scoring = 0.0
        with pruning or nullcontext():
            out = generate(self.adapter, inputs, self.config.max_new_tokens, **how)
            if pruning is not None:
                steps, scoring = pruning.steps[0], pruning.scoring_s
        timer.seconds["scoring"] = scoring
        timer.seconds["prefill"] = out.first_token - out.started - scoring
        timer.seconds["decode"] = out.finished - out.first_token
        return out, steps

    def _plan(self, compressor: str | None, layout: TokenLayout, region: Region) -> CompressionPlan:
        if compressor is None:
            return CompressionPlan.identity(layout.count)
        return compressors.compressor(compressor, self.config).plan(layout, region, self.counts.tokens)

    def _inputs(
        self, compressor: str | None, encoded: Encoded, plan: CompressionPlan
    ) -> tuple[dict[str, Any], torch.Tensor]:
        """Keyword arguments for one generate, which changes them, and (1, L) bool: which input tokens are visual."""
        prepared, features = encoded.prepared, encoded.features
        if compressor is None:
            inputs = {"input_ids": prepared.input_ids, "attention_mask": prepared.attention_mask, **prepared.tokens}
            if prepared.positions is not None:
                inputs["position_ids"] = prepared.positions
            return {**inputs, "mm_encoder_outputs": {"image": copy.copy(features)}}, prepared.visual
        packed = compress_inputs(self.adapter.model, prepared, features, [plan])
        return packed.kwargs, packed.visual

    def _pruning(self, pruner: str | None, inside: NDArray[np.bool_], visual: torch.Tensor) -> LayerPruning | None:
        """Hooks for the pruner, if any; inside: (M,) bool, the LLM input tokens that lie in the region."""
        if pruner is None:
            return None
        cuts = schedule.cuts(self.counts.inner, self.adapter.layers, len(inside), self.counts.mean, self.first)
        if not cuts:
            return None  # the budget leaves every token in every layer
        tokens = VisualTokens.of_one_image(torch.from_numpy(inside).to(visual.device))
        chosen = pruners.pruner(pruner, cuts, [tokens], self.counts.inner.query_rows)
        return LayerPruning(self.adapter.stack, chosen, visual, self.counts.inner.evict)

    def _flops(self, trace: TokenTrace, visual: torch.Tensor, prepared: PreparedInputs) -> int:
        """Vision, LLM prefill and scoring, for a prompt of which `visual` (1, L) marks the M visual tokens."""
        config, text = self.adapter.model.config, visual.shape[1] - trace.input_tokens
        lengths = [text + int(alive) for alive in trace.alive_counts]
        rows = min(self.counts.inner.query_rows, int(visual[0].flip(0).int().argmax()))  # text after the image
        scoring = sum(scoring_flops(config, rows, lengths[step.layer - 1]) for step in trace.steps)
        return self.adapter.vision_flops(prepared) + prefill_flops(config, lengths) + scoring


def _counts(config: CropConfig, visual: int, layers: int, first: int) -> Counts:
    """Budget arithmetic before any model runs; BudgetError or ConfigError for what cannot be."""
    parts = config.parts
    mean = config.budget.tokens(visual) if config.budget and (parts.compressor or parts.pruner) else None
    inner = pruners.settings(parts.pruner, config.ilp, layers, visual, mean, first) if parts.pruner else config.ilp
    tokens: int | None = visual
    if parts.compressor:
        tokens = None if mean is None else schedule.plc_count(mean, visual)
    if parts.compressor and parts.pruner and mean is not None:
        first_layer = schedule.resolved(inner, layers, first)[0][0]
        tokens = schedule.plc_count_before_ilp(config.plc.overshoot, mean, layers, visual, first_layer)
    if parts.pruner:
        schedule.cuts(inner, layers, tokens or visual, mean, first)
    return Counts(visual, tokens, mean, inner)


def _trace(
    layout: TokenLayout, region: Region, plan: CompressionPlan, steps: list[PruneStep], layers: int
) -> TokenTrace:
    return TokenTrace(
        layout.image_size,
        layout.boxes,
        layout.visible,
        region,
        region.mask(layout.boxes),
        np.asarray(plan.group),
        np.asarray(plan.ring),
        layers,
        steps,
        layout.view,
    )
