"""The language model only, for B copies of one prompt: used by batches and the profiler.

The vision features are computed once, and every copy reads them; compression and the hooks are the engine's own.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from crop_core.compress.protocol import CompressionInput, Compressor
from crop_core.engine.localized_regions import Encoded
from crop_core.engine.run import Task
from crop_core.measure.flops import prefill_flops
from crop_core.models import PreparedInputs
from crop_core.models.compressed_inputs import CompressedInputs, compress_inputs
from crop_core.models.generation import Generated, generate
from crop_core.prune import LayerPruning, VisualTokens, schedule
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.methods import load_class
from crop_core.records.region import Region


@dataclass(frozen=True)
class Prefilled:
    """B prompts as inputs of the language model. cuts: (layer, visual tokens alive from it on). pruning: the hooks
    that make them, None without cuts.
    """

    task: Task
    packed: CompressedInputs
    cuts: schedule.Cuts
    pruning: LayerPruning | None

    @classmethod
    @torch.inference_mode()
    def of(cls, task: Task, encoded: Encoded, region: Region, copies: int = 1) -> Prefilled:
        """`copies` of the prompt of a task about one image."""
        plan, several = _plan(task, region), repeated(encoded, copies)
        packed = compress_inputs(task.adapter.model, several.prepared, several.features, [plan] * copies)
        cuts = _cuts(task, plan.count)
        return cls(task, packed, cuts, _pruning(task, cuts, plan, region, packed.visual) if cuts else None)

    @torch.inference_mode()
    def generate(self, tokens: int) -> Generated:
        """Decode this many tokens of every prompt greedily; `ids` are those of all prompts, step by step."""
        with self.pruning or nullcontext():
            return generate(self.task.adapter, self.packed.kwargs, tokens, keep_logits=False)

    @property
    def flops(self) -> int:
        """FLOPs of the language model's prefill of all copies, without scoring."""
        copies, length = self.packed.input_ids.shape
        lengths, text = [length] * self.task.adapter.layers, length - int(self.packed.visual[0].sum())
        for layer, alive in self.cuts:
            lengths[layer:] = [text + alive] * (len(lengths) - layer)
        return copies * prefill_flops(self.task.adapter.model.config, lengths)


def repeated(encoded: Encoded, copies: int) -> Encoded:
    """The same prompt and features repeated, without copying the features."""
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
    method: Compressor = load_class(compressor).from_config(task.config)
    return method.plan(CompressionInput(layout, region), count)


def _cuts(task: Task, count: int) -> schedule.Cuts:
    """Of a prompt with `count` visual tokens."""
    if task.config.parts.pruner is None:
        return ()
    return schedule.cuts(task.counts.inner, task.adapter.layers, count, task.counts.mean, task.first_prunable_layer)


def _pruning(
    task: Task, cuts: schedule.Cuts, plan: CompressionPlan, region: Region, visual: torch.Tensor
) -> LayerPruning:
    inner, inside = task.counts.inner, torch.from_numpy(plan.inside(region.mask(task.layouts[0].boxes)))
    tokens = [VisualTokens.of_one_image(inside.to(visual.device))] * len(visual)
    chosen = load_class(task.config.parts.pruner or "")(cuts, tokens, inner.query_rows)
    return LayerPruning(task.adapter.stack, chosen, visual, inner.evict)
