"""The self-localizer: no second model. The answering model glances at the image, and where it looks is the region.

OURS. It reads a glimpse of the image (its own visual tokens pooled to a coarse grid) and the question through its first
layers, once and without decoding; the attention of the text behind the image to the 64 cells gives the region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.attention_rule import KEY, AttentionRule
from crop_core.localize.self_attention.early_attention import early_attention, text_rows
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.localize.self_attention.region_scores import AttentionTerm, shares
from crop_core.measure.flops import keys_flops, layers_flops, scoring_flops
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.records.region import Region

UNMEASURED = (
    "The region is a guess: {name} found it itself, by attention heads that nobody has measured on it; to be surer, "
    "draw the region or choose another localizer."
)


@dataclass(eq=False)
class SelfLocalizer:
    """adapter: the answering model. rule: what is read; None means as the checkpoint's config says, the plain rule
    where it says nothing. Raises ModelError for a rule in the config that cannot be read.
    """

    adapter: Adapter
    rule: AttentionRule | None = None
    weights_bytes: int = 0

    def __post_init__(self) -> None:
        config, name = self.adapter.model.config, self.adapter.name
        self._rule = self.rule or AttentionRule.of(config, name)
        measured = self.rule is not None or getattr(config, KEY, None) is not None
        self._notices = () if measured else (UNMEASURED.format(name=name),)

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image, source "predicted"; its confidence is None unless the rule is calibrated."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, and the FLOPs of everything that was run for it, the encoding of the image included."""
        prepared = self.adapter.prepare(image, question)
        found = self.localize_from_features(prepared, self.adapter.encode(prepared), image.size)
        return LocalizationResult(
            found.region, lambda: self.adapter.vision_flops(prepared) + found.flops, found.notices
        )

    def localize_from_features(
        self, prepared: PreparedInputs, features: Any, image_size: tuple[int, int]
    ) -> LocalizationResult:
        """The region for a question and an image (width, height) that is encoded already, with the FLOPs of the glimpse
        alone.

        prepared, features: of `adapter.prepare` and `adapter.encode`. Raises ModelError for a prompt that ends with the
        image.
        """
        glimpse = PooledGrid.of(self.adapter.layout(image_size), self._rule.side)
        reading = self._rule.read(attention_features(self.adapter, prepared, features, glimpse, self._rule.terms))
        confidence = self._rule.confidence(reading)
        region = Region(*reading.numbers, *image_size, source="predicted", confidence=confidence)
        return LocalizationResult(region, lambda: self._flops(prepared, glimpse), self._notices)

    def _flops(self, prepared: PreparedInputs, glimpse: PooledGrid) -> int:
        """The layers below the last one that is read, and the keys and scores of those that are."""
        config, rule = self.adapter.model.config, self._rule
        length = prepared.input_ids.shape[1] - len(glimpse.plan.group) + glimpse.plan.count
        reading = keys_flops(config, length) + scoring_flops(config, text_rows(prepared.visual), length)
        return layers_flops(config, [length] * rule.layers[-1]) + len(rule.layers) * reading


def attention_features(
    adapter: Adapter, prepared: PreparedInputs, features: Any, glimpse: PooledGrid, terms: Sequence[AttentionTerm]
) -> NDArray[np.float32]:
    """(T, 64): what each of the terms reads, whatever it weighs; see `heat.shares`."""
    inputs = compress_inputs(adapter.model, prepared, features, [glimpse.plan])
    rows = text_rows(prepared.visual)  # not of `inputs`, whose last visual tokens may be gone
    attention = early_attention(adapter, inputs, sorted({term.layer for term in terms}), rows)
    return shares(attention, glimpse.cells, terms)
