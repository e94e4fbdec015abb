"""The self-localizer: the region from the answering model's own attention, without a second model.

OURS. The visual tokens, pooled to a coarse grid, and the question run through the first decoder layers once, without
decoding; the attention of the text after the image to the 64 cells gives the region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.attention_rule import AttentionRule, AttentionTerm, shares
from crop_core.localize.self_attention.explanation import explained
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.localize.self_attention.rule_choice import OWN, PLAIN, ChosenRule, choose_rule
from crop_core.measure.flops import keys_flops, layers_flops, scoring_flops
from crop_core.models.adapter import Adapter, ModelError, PreparedInputs
from crop_core.models.compressed_inputs import CompressedInputs, compress_inputs
from crop_core.models.decoder import DecoderStack, head_rows, layer_keys
from crop_core.models.finite import check_values
from crop_core.records.region import GRID, Region

Weights = NDArray[np.float32]
TOO_NARROW = "The image is so narrow that the centre of no visual token lies in it, so the region is the whole image."


@dataclass(eq=False)
class SelfLocalizer:
    """adapter: the answering model. rule: None for the one of `choose_rule`. Raises ModelError for an invalid rule in
    the config.
    """

    adapter: Adapter
    rule: AttentionRule | None = None
    weights_bytes: int = 0

    def __post_init__(self) -> None:
        given = ChosenRule(self.rule, (), OWN) if self.rule else choose_rule(self.adapter)
        self._rule, self._notices, source = given
        self.guesses = source == PLAIN  # whether its regions are no more than that
        self.is_cheap = self._rule.side <= GRID  # it reads no more than a token a cell

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image, source "predicted"; its confidence is None unless the rule is calibrated."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, and its FLOPs including those of encoding the image."""
        prepared = self.adapter.prepare(image, question)
        result = self.localize_from_features(prepared, self.adapter.encode(prepared), image, question)
        return replace(result, count=lambda: self.adapter.vision_flops(prepared) + (result.flops or 0))

    def localize_from_features(
        self, prepared: PreparedInputs, features: Any, image: Image.Image, question: str
    ) -> LocalizationResult:
        """The region for a question about an encoded image, with the FLOPs of the decoder layers only.

        prepared, features: from `adapter.prepare` and `adapter.encode`, of this image and question. Raises ModelError
        for a prompt that ends with the image.
        """
        layout = self.adapter.layout(image.size)
        if not layout.in_sight.any():
            return LocalizationResult(Region.whole(*image.size), notices=[TOO_NARROW])
        grid = PooledGrid.of(layout, self._rule.side)
        read = attention_features(self.adapter, prepared, features, grid, self._rule.terms)
        decoded = self._rule.decode(read)
        confidence = self._rule.confidence(decoded)
        region = Region(*decoded.numbers, *image.size, source="predicted", confidence=confidence)
        return LocalizationResult(
            region, lambda: self._flops(prepared, grid), self._notices, lambda: explained(self._rule, read)
        )

    def _flops(self, prepared: PreparedInputs, grid: PooledGrid) -> int:
        """Of the layers below the last one read, and the keys and scores of those read."""
        config, rule = self.adapter.model.config, self._rule
        length = prepared.input_ids.shape[1] - len(grid.plan.group) + grid.plan.count
        reading = keys_flops(config, length) + scoring_flops(config, text_rows(prepared.visual), length)
        return layers_flops(config, [length] * rule.layers[-1]) + len(rule.layers) * reading


def attention_features(
    adapter: Adapter, prepared: PreparedInputs, features: Any, grid: PooledGrid, terms: Sequence[AttentionTerm]
) -> NDArray[np.float32]:
    """(T, 64): unweighted attention of each term to the cells; see `attention_rule.shares`."""
    inputs = compress_inputs(adapter.model, prepared, features, [grid.plan])
    rows = text_rows(prepared.visual)  # not of `inputs`, whose last visual tokens may be gone
    attention = early_attention(adapter, inputs, sorted({term.layer for term in terms}), rows)
    return shares(attention, grid.cells, terms)


class _LastLayerReached(Exception):
    """Raised in a hook to end a forward pass at the last layer to read."""


@torch.inference_mode()
def early_attention(adapter: Adapter, inputs: CompressedInputs, layers: Sequence[int], rows: int) -> dict[int, Weights]:
    """By layer the attention weights (H, R, M) of the last R = `rows` tokens to the M visual tokens.

    A forward pre-hook on each layer computes its attention beside the model; the pass ends at the last of them.
    inputs: one prompt. layers: of the decoder, at least one. Raises ModelError for a layer that the model does not have
    and for a prompt that ends with the image, NotFiniteError for attention that is no number. Hooks are state on the
    model: one request at a time.
    """
    if not all(0 <= layer < adapter.layers for layer in layers):
        raise ModelError(
            f"{adapter.name} has no layers {sorted(set(layers))}; its decoder has layers 0 to {adapter.layers - 1}."
        )
    if not rows:
        raise ModelError(f"The prompt of {adapter.name} ends with the image; put the question after the image.")
    stack, seen, last = adapter.stack, {}, max(layers)
    columns = inputs.visual[0].cpu().numpy()

    def before(number: int) -> Any:
        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            weights = _weights(stack, number, hidden, kwargs, rows)  # (H, R, L')
            seen[number] = weights.cpu().numpy()[..., columns]
            if number == last:
                raise _LastLayerReached

        return hook

    handles = [
        stack.layers[number].register_forward_pre_hook(before(number), with_kwargs=True) for number in set(layers)
    ]
    try:
        adapter.model(**inputs.kwargs, use_cache=True, logits_to_keep=1)
    except _LastLayerReached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    for weights in seen.values():
        check_values(adapter, torch.from_numpy(weights), lambda: inputs.kwargs)
    return seen


def text_rows(visual: torch.Tensor) -> int:
    """Number of tokens after the last visual one of a prompt (1, L)."""
    return int(visual[0].flip(0).int().argmax())


def _weights(stack: DecoderStack, number: int, hidden: torch.Tensor, kwargs: dict[str, Any], rows: int) -> torch.Tensor:
    layer, rope = stack.layers[number], kwargs["position_embeddings"]
    keys = layer_keys(layer, hidden, rope, stack.rope)
    return head_rows(layer, hidden, rope, keys, kwargs.get("attention_mask"), rows, stack.rope)[0]
