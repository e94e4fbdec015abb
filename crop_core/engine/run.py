"""One run of a question about its images, as baseline or pruned, with its times, FLOPs and traces.

Every run starts from the images themselves, so that preprocessing and the vision tower are in its time, unless it gets
encoded images. Knows nothing of medians, streams or comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crop_core.compress.plc_checkpoint import PlcWeights, load_plc
from crop_core.compress.protocol import CompressionInput, Compressor
from crop_core.engine.localized_regions import Encoded, LocalizedRegions
from crop_core.engine.request_checks import check_sequence
from crop_core.engine.traces import token_traces, visual_tokens
from crop_core.localize import Localizer, SharedEncoderLocalizer
from crop_core.measure.flops import counted, prefill_flops
from crop_core.measure.timing import StageTimer, now
from crop_core.models import Adapter, Images, TokenLayout, Turn, as_list
from crop_core.models.adapter import TowerAttention
from crop_core.models.attention_rows import AttentionRows
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.models.generation import Generated, generate
from crop_core.prune import LayerPruning, VisualTokens, schedule
from crop_core.prune.protocol import CutSize
from crop_core.prune.schedule import TokenBudgetPlan, plan_token_budget
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.config import CropConfig
from crop_core.records.methods import load_class, with_nothing_outside
from crop_core.records.region import Region
from crop_core.records.trace import PruneStep, TokenTrace

Regions = Region | Sequence[Region]  # one, or one an image


@dataclass(frozen=True)
class Run:
    """One finished run. traces: one an image. stages: seconds by name; ttft_s and total_s are without the localizer.

    attention: (S, L, M) of the first S answer tokens to the M visual tokens of the LLM's input, where it was asked for.
    """

    generated: Generated
    traces: list[TokenTrace]
    stages: dict[str, float]
    ttft_s: float
    total_s: float
    flops: int
    attention: NDArray[np.float32] | None = None

    @property
    def mean_tokens(self) -> float:
        """Mean visual tokens per decoder layer, of all images."""
        return sum(trace.mean_tokens for trace in self.traces)


@dataclass
class Task:
    """A question about one or several RGB images under one configuration. Raises ValueError for a budget that cannot be
    met, ModelError for a method that reads the tower, or needs a learned PLC, where the model has none, PruneError
    for a prompt that reaches a sliding window.

    history: earlier questions about the same images and their answers. encoded: of these images and this question, by
    `encode`; runs then start from it, without its time in theirs.
    """

    adapter: Adapter
    images: Images
    question: str
    config: CropConfig
    encoded: Encoded | None = None
    history: Sequence[Turn] = ()
    counts: TokenBudgetPlan = field(init=False)
    first_prunable_layer: int = field(init=False)  # decoder layer that can be cut
    trained: PlcWeights | None = field(init=False, default=None)  # for methods that need one

    def __post_init__(self) -> None:
        self.images = as_list(self.images)
        self.first_prunable_layer = self.adapter.stack.first_prunable
        if compressor := self.config.parts.compressor:
            load_class(compressor)  # imported before any clock runs
        if self.config.parts.reads_tower:
            self.adapter.record_tower()  # ModelError before anything runs
        if self.config.parts.needs_training:
            self.trained = load_plc(self.adapter)
        self.counts = plan_token_budget(
            self.config, [each.count for each in self.layouts], self.adapter.layers, self.first_prunable_layer
        )
        entering = sum(self.counts.tokens or self.counts.visual)
        if self.config.parts.pruner and self._cuts(entering):
            check_sequence(self.adapter, self.images, self.prompt_question, self.history, entering)

    @property
    def max_new_tokens(self) -> int:
        """Longest answer, an end token included."""
        return self.config.max_new_tokens or self.adapter.max_new_tokens

    @property
    def prompt_question(self) -> str:
        """The question as the answering model reads it: with the request for a short answer below it, if asked for."""
        request = self.adapter.short_answer_request if self.config.short_answer else ""
        return f"{self.question}\n{request}" if request else self.question

    @property
    def layouts(self) -> list[TokenLayout]:
        """The visual tokens' layout of every image."""
        images = as_list(self.images)
        return [self.adapter.layout(image.size, len(images)) for image in images]

    def encode(self, watch: bool | None = None) -> Encoded:
        """Preprocess and run the vision tower, for `encoded` of tasks about the same images and question.

        watch: whether to record the tower's attention, None if this task's method reads it.
        """
        prepared = self.adapter.prepare(self.images, self.prompt_question, self.history)
        watch = self.config.parts.reads_tower if watch is None else watch
        with self.adapter.record_tower() if watch else nullcontext() as watched:
            return Encoded(prepared, self.adapter.encode(prepared), watched)

    def localize(self, localizers: Sequence[Localizer]) -> LocalizedRegions:
        """Localize the region in every image, by a localizer each.

        A localizer that shares the answering model's encoder leaves the encoding of a single image to the run.
        """
        start, images = now(self.adapter.device), as_list(self.images)
        if (
            len(images) == 1
            and isinstance(localizers[0], SharedEncoderLocalizer)
            and localizers[0].adapter is self.adapter
        ):
            encoded = self.encoded or self.encode()
            middle = now(self.adapter.device)
            shared = encoded.prepared, encoded.features
            result = localizers[0].localize_from_features(*shared, images[0], self.question)
            return LocalizedRegions([result], now(self.adapter.device) - middle, encoded, middle - start)
        pairs = zip(localizers, images, strict=True)
        results = [localizer.localize(image, self.question) for localizer, image in pairs]
        return LocalizedRegions(results, now(self.adapter.device) - start)

    def baseline(self, regions: Regions, **options: Any) -> Run:
        """Run with every visual token in every layer; the regions, one an image, are only recorded. options: on_token,
        forced, keep_logits.
        """
        return self._run(regions, None, None, **options)

    def crop(self, regions: Regions, located: LocalizedRegions | None = None, **options: Any) -> Run:
        """Run with the config's compressor and pruner, with neither where the budget keeps every token, and without ILP
        where nothing lies outside the regions. located: its encoded images count in the run's time. options: as of
        `baseline`, and attention_steps, as of `Run.attention`.
        """
        task = self._within(regions)
        parts = task.config.parts
        names = (None, None) if task.counts.keeps_all else (parts.compressor, parts.pruner)
        return task._run(regions, *names, located, **options)

    def _within(self, regions: Regions) -> Task:
        """The task with the method that these regions leave; itself for cuts that the user has set, or no budget."""
        config, own = self.config, [regions] if isinstance(regions, Region) else regions
        if config.budget is None or config.ilp.schedule or not all(region.is_whole for region in own):
            return self
        method = with_nothing_outside(config.method)
        return self if method == config.method else replace(self, config=replace(config, method=method))

    @torch.inference_mode()
    def _run(
        self,
        regions: Regions,
        compressor: str | None,
        pruner: str | None,
        located: LocalizedRegions | None = None,
        attention_steps: int = 0,
        **options: Any,
    ) -> Run:
        regions = [regions] if isinstance(regions, Region) else list(regions)
        timer, before = StageTimer(self.adapter.device), located.encode_s if located else 0.0
        start = now(self.adapter.device) - before
        with timer.stage("encode"):
            encoded = (located and located.encoded) or self.encoded or self.encode(None if compressor else False)
            layouts = self.layouts
        timer.seconds["encode"] += before
        with timer.stage("compression") if compressor else nullcontext():
            images = self._images(layouts, regions, encoded)
            plans = self._plans(compressor, images)
            inputs, visual = self._inputs(compressor, encoded, CompressionPlan.joined(plans))
        pruning = self._pruning(pruner, visual_tokens(layouts, regions, plans), visual)
        rows = self._attention_rows(visual, pruning, attention_steps)
        with self.trained.applied() if self.trained and compressor else nullcontext():
            out, steps = self._generate(inputs, pruning, timer, rows, options)
        traces = token_traces(layouts, regions, plans, steps, self.adapter.layers)
        flops = self._flops(pruner, traces, steps, visual, self.adapter.vision_flops(encoded.prepared))
        flops += self._plan_flops(compressor, images)
        times = (out.first_token - start, out.finished - start)
        return Run(out, traces, dict(timer.seconds), *times, flops, rows.shares if rows else None)

    def _attention_rows(self, visual: torch.Tensor, pruning: LayerPruning | None, steps: int) -> AttentionRows | None:
        """What reads the attention of the first answer tokens, if asked for any; see `Run.attention`."""
        columns = pruning.columns if pruning else lambda number: None
        return AttentionRows(self.adapter.stack, visual, columns, steps) if steps else None

    def _generate(
        self,
        inputs: dict[str, Any],
        pruning: LayerPruning | None,
        timer: StageTimer,
        rows: AttentionRows | None,
        options: dict[str, Any],
    ) -> tuple[Generated, list[PruneStep]]:
        """Generate with the pruning's hooks on; prefill is the time before the first token without the scoring."""
        steps: list[PruneStep] = []
        scoring = 0.0
        with pruning or nullcontext(), rows or nullcontext():
            out = generate(self.adapter, inputs, self.max_new_tokens, **options)
            if pruning is not None:
                steps, scoring = pruning.steps[0], pruning.scoring_s
        timer.seconds["scoring"] = scoring
        timer.seconds["prefill"] = out.first_token - out.started - scoring
        timer.seconds["decode"] = out.finished - out.first_token
        return out, steps

    def _images(self, layouts: list[TokenLayout], regions: list[Region], encoded: Encoded) -> list[CompressionInput]:
        """The compressor's input of every image."""
        ends = np.cumsum([0, *(layout.count for layout in layouts)])
        spans = [slice(*each) for each in pairwise(ends)]

        def features(number: int) -> torch.Tensor:
            return encoded.features.pooler_output[0][spans[number]]

        def tower(number: int) -> TowerAttention:
            return self.adapter.tower_attention(encoded.watched, encoded.prepared)[number]

        question = partial(self.adapter.embed_question, self.question)
        queries = partial(getattr, self.trained, "queries")
        return [
            CompressionInput(layout, region, partial(features, number), partial(tower, number), question, queries)
            for number, (layout, region) in enumerate(zip(layouts, regions, strict=True))
        ]

    def _plans(self, compressor: str | None, images: list[CompressionInput]) -> list[CompressionPlan]:
        """The compression plan of every image."""
        if compressor is None:
            return [CompressionPlan.identity(image.layout.count) for image in images]
        method: Compressor = load_class(compressor).from_config(self.config)
        counts: list[int] | list[None] = self.counts.tokens or [None] * len(images)
        return [method.plan(*each) for each in zip(images, counts, strict=True)]

    def _plan_flops(self, compressor: str | None, images: list[CompressionInput]) -> int:
        """FLOPs of the compressor, counted by PyTorch in a separate, untimed plan."""
        if compressor is None or self.config.parts.positions_only:
            return 0
        return counted(lambda: self._plans(compressor, images))

    def _inputs(
        self, compressor: str | None, encoded: Encoded, plan: CompressionPlan
    ) -> tuple[dict[str, Any], torch.Tensor]:
        """Keyword arguments for one generate call, which modifies them; (1, L) bool: which input tokens are visual."""
        prepared, features = encoded.prepared, encoded.features
        if compressor is None:
            return prepared.kwargs(features), prepared.visual
        packed = compress_inputs(self.adapter.model, prepared, features, [plan])
        return packed.kwargs, packed.visual

    def _pruning(self, pruner: str | None, tokens: VisualTokens, visual: torch.Tensor) -> LayerPruning | None:
        """The pruner's hooks, if any, for a prompt whose visual tokens are the True of (1, L)."""
        if pruner is None:
            return None
        cuts, inner = self._cuts(len(tokens.inside)), self.counts.inner
        if not cuts:
            return None  # the budget leaves every token in every layer
        chosen = load_class(pruner)(cuts, [tokens.to(visual.device)], inner.query_rows)
        return LayerPruning(self.adapter.stack, chosen, visual, inner.evict)

    def _cuts(self, count: int) -> schedule.Cuts:
        """The pruner's cuts for `count` visual tokens at the LLM's input."""
        layers, images = self.adapter.layers, len(as_list(self.images))
        return schedule.cuts(self.counts.inner, layers, count, self.counts.mean, self.first_prunable_layer, images)

    def _flops(
        self, pruner: str | None, traces: list[TokenTrace], steps: list[PruneStep], visual: torch.Tensor, vision: int
    ) -> int:
        """FLOPs of vision, LLM prefill and scoring, for a prompt whose M visual tokens `visual` (1, L) marks."""
        config, alive = self.adapter.model.config, np.sum([trace.alive_counts for trace in traces], axis=0).tolist()
        text = visual.shape[1] - sum(trace.input_tokens for trace in traces)
        behind = int(visual[0].flip(0).int().argmax())
        sizes = [
            CutSize(behind, alive[at - 1], text + alive[at - 1], alive[at], alive[0])
            for at in (each.layer for each in steps)
        ]
        rows = self.counts.inner.query_rows
        scoring = sum(load_class(pruner).flops(config, rows, size) for size in sizes) if pruner else 0
        return vision + prefill_flops(config, [text + count for count in alive]) + scoring
