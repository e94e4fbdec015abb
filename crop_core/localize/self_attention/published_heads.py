"""Attention heads that a paper names for a checkpoint. Nothing of it has been measured here: no such weights run here.

Kang et al., Your Large Vision-Language Model Only Needs A Few Attention Heads For Visual Grounding, CVPR 2025, arXiv
2503.06287: the last text token's attention of a few heads, smoothed and added; what is above the mean is the region.
OURS differs: logs are added, so that the region is where their sum is above 0; the mean of the tokens in each of the
8x8 cells smooths; the last token is the prompt's, behind the question. The paper counts "the 24th head in the 14th
layer"; we count both from 0, as the authors' own program does, which finds head 24 of layer 14 first.

Not here, since no paper that we could read gives the numbers of heads: LLaVA-NeXT, Qwen2.5-VL and all others.
"""

from __future__ import annotations

from dataclasses import dataclass

from crop_core.localize.calibration import Calibration
from crop_core.localize.self_attention.attention_rule import MAX_SIDE, PLAIN_DOUBT, AttentionRule, AttentionTerm
from crop_core.models.adapter import Adapter

PAPER = "Kang et al., CVPR 2025, arXiv 2503.06287"


@dataclass(frozen=True)
class PublishedHeads:
    """heads: (layer, head), both from 0. layers, width: of the model that has them. source: where they stand."""

    heads: tuple[tuple[int, int], ...]
    layers: int
    width: int
    source: str

    @property
    def rule(self) -> AttentionRule:
        """The rule that reads them with equal weights, on tokens that are not pooled; without a fitted confidence."""
        terms = tuple(AttentionTerm(layer, head, "last", 1 / len(self.heads)) for layer, head in self.heads)
        return AttentionRule(terms, side=MAX_SIDE, calibration=Calibration(PLAIN_DOUBT))


PUBLISHED = {
    "llava-hf/llava-1.5-7b-hf": PublishedHeads(((14, 24), (14, 13)), 32, 32, f"{PAPER}, figures 1 and 6"),
    "llava-hf/llava-1.5-13b-hf": PublishedHeads(((15, 39), (16, 30), (7, 2)), 40, 40, f"{PAPER}, figures 17 and 18"),
}  # the checkpoint in transformers' format, by its hub id


def published_heads(adapter: Adapter) -> PublishedHeads | None:
    """The heads of the adapter's checkpoint: by its hub id, or its folder's name where that is the id's last part."""
    text = adapter.model.config.text_config
    shape = text.num_hidden_layers, text.num_attention_heads
    for name, found in PUBLISHED.items():
        if adapter.name in (name, name.split("/")[1]) and shape == (found.layers, found.width):
            return found
    return None
