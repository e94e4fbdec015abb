"""The language model's part alone, for B copies of one prompt: what batches and the profiler run.

The vision features are computed once, and every copy reads them; compression and the hooks are the engine's own.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from crop_core.compress import CompressedInputs, CompressionPlan, compress_inputs
from crop_core.compress import registry as compressors
from crop_core.generation import Generated, generate
from crop_core.models import PreparedInputs
from crop_core.prune import LayerPruning, VisualTokens, schedule
from crop_core.prune import registry as pruners
from crop_core.region import Region
from crop_core.runs import Encoded, Task


@dataclass(frozen=True)
class Prefilled:
    """B prompts as the language model gets them, and the hooks of the method, if it has any."""

    task: Task
    packed: CompressedInputs
    pruning: LayerPruning | None

    @classmethod
    @torch.inference_mode()
    def of(cls, task: Task, encoded: Encoded, region: Region, copies: int = 1) -> Prefilled:
        """`copies` of the prompt of a task about one image."""
        plan = _plan(task, region)
        several = repeated(encoded, copies)
        packed = compress_inputs(task.adapter.model, several.prepared, several.features, [plan] * copies)
        return cls(task, packed, _pruning(task, plan, region, packed.visual))

    @torch.inference_mode()
    def generate(self, tokens: int) -> Generated:
        """Greedy decoding of so many tokens of every prompt; `ids` are those of all prompts, step by step."""
        with self.pruning or nullcontext():
            return generate(self.task.adapter, self.packed.kwargs, tokens, keep_logits=False)


def repeated(encoded: Encoded, copies: int) -> Encoded:
    """The same prompt and features so many times, the features without a copy in memory."""
    one, features = encoded.prepared, copy.copy(encoded.features)
    features.pooler_output = [features.pooler_output[0]] * copies
    prepared = PreparedInputs(
        one.input_ids.repeat(copies, 1),
        one.attention_mask.repeat(copies, 1),
        one.visual.repeat(copies, 1),
        {},
        one.image_sizes * copies,
        {name: each.repeat(copies, 1) for name, each in one.tokens.items()},
        None if one.positions is None else one.positions.repeat(1, copies, 1),
    )
    return Encoded(prepared, features)


def _plan(task: Task, region: Region) -> CompressionPlan:
    (layout,), compressor = task.layouts, task.config.parts.compressor
    if compressor is None:
        return CompressionPlan.identity(layout.count)
    count = task.counts.tokens[0] if task.counts.tokens else None
    return compressors.compressor(compressor, task.config).plan(layout, region, count)


def _pruning(task: Task, plan: CompressionPlan, region: Region, visual: torch.Tensor) -> LayerPruning | None:
    counts, pruner = task.counts, task.config.parts.pruner
    cuts = pruner and schedule.cuts(counts.inner, task.adapter.layers, plan.count, counts.mean, task.first)
    if not pruner or not cuts:
        return None
    inside = torch.from_numpy(plan.inside(region.mask(task.layouts[0].boxes)))
    tokens = [VisualTokens.of_one_image(inside.to(visual.device))] * len(visual)
    chosen = pruners.pruner(pruner, cuts, tokens, counts.inner.query_rows)
    return LayerPruning(task.adapter.stack, chosen, visual, counts.inner.evict)
