"""HoloV: keep the most attended tokens of every part of the image, more of the parts that are attended more.

Source: Zou et al., HoloV, NeurIPS 2025, arXiv 2510.02912; its code's settings. The code adds the variance of a token's
cosines in its part to the attention, scaled to the attention's mean in that part, so that a part's mean score is 1.09
times its mean attention: the variance has no say in the result, and is left out here. Differs from its code: tokens
that a full part cannot hold are handed to the others, where the code fills up with zeros; a part of one token is
weighed as all others; kept tokens keep their places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crop_core.compress.protocol import CompressionInput, Compressor, kept, saliency, wanted
from crop_core.records.compression_plan import CompressionPlan


@dataclass(frozen=True)
class HoloVCompressor(Compressor):
    """Parts are runs of the token order (in a grid: strips), as equal as they can be, the first ones longer.

    A part gets the count's share of its mean attention in the sum of all, rounded down; what is left goes to the parts
    with the largest, one token each, again until nothing is left. In a part the most attended are kept. Ties by index.
    share: kept without a count, 64 of LLaVA-1.5's 576 as in the paper.
    """

    parts: int = 16
    share: float = 1 / 9

    def plan(self, image: CompressionInput, count: int | None = None) -> CompressionPlan:
        """Exactly `count` (1..N) of the N tokens, each as it is and all in ring 0; the region is not read.

        Raises CompressionError for a count outside 1..N, ModelError for a vision tower that merges patches.
        """
        total = len(image.layout.row)
        number = wanted(count, int(self.share * total), total)
        attention = saliency(image.tower().attention).double().cpu().numpy()
        parts = [part for part in np.array_split(np.arange(total), self.parts) if len(part)]
        mean = np.array([attention[part].mean() for part in parts])
        numbers = handed_out(number, mean, np.array([len(part) for part in parts]))
        best = [part[np.argsort(-attention[part], kind="stable")] for part in parts]
        return kept(np.concatenate([each[:own] for each, own in zip(best, numbers, strict=True)]), total)


def handed_out(count: int, weight: NDArray[np.float64], room: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P,) numbers that sum to `count`, by weight (P,) above 0, none more than its room (P,)."""
    numbers = np.minimum(np.floor(weight / weight.sum() * count).astype(np.int64), room)
    order = np.argsort(-weight, kind="stable")
    while (left := count - int(numbers.sum())) > 0:
        numbers[order[numbers[order] < room[order]][:left]] += 1
    return numbers
