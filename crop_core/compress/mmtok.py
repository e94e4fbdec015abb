"""MMTok: keep tokens that together cover the question's words and the whole image.

Source: Dong et al., MMTok, arXiv 2508.18264; its code's defaults. It embeds words by the LLM, as we do, so that no CLIP
text tower is missing. Differs from its code: every token of the question is a word to cover, where the code first drops
some forty common words ("what", "is", "the"); image tokens are compared with each other after the projector instead of
before it; no padding is left out, which is an option there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crop_core.compress.protocol import CompressionInput, Compressor, directions, kept, wanted
from crop_core.compress.scope import max_coverage
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class MmTokCompressor(Compressor):
    """Greedy: the token of the largest gain in coverage, ties by index.

    What is covered are words and image tokens alike: a row each of their softmax over all image tokens, of cosines
    divided by a temperature, and divided by the number of words or of image tokens; `image` times as much for the
    latter. share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    text_temperature: float = 0.02
    image_temperature: float = 0.2
    image: float = 0.5
    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        rows, words = directions(image.features()), directions(image.question())
        parts = [
            _attending(words.to(rows.device), rows, self.text_temperature),
            _attending(rows, rows, self.image_temperature) * self.image,
        ]
        return kept(max_coverage(torch.cat(parts), number).cpu().numpy(), total)


def _attending(rows: torch.Tensor, tokens: torch.Tensor, temperature: float) -> torch.Tensor:
    """(R, N): softmax of the cosines of unit rows (R, D) to the tokens (N, D), all rows together summing to 1."""
    return (rows @ tokens.mT / temperature).softmax(1) / max(1, len(rows))
