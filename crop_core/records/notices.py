"""Sentences that a user must be told beside the figures of a comparison. Reads the traces alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crop_core.records.trace import TokenTrace


def region_notices(traces: Sequence[TokenTrace]) -> list[str]:
    """What is easily misread about a run: nothing saved, region tokens lost, a region that the model cannot see.

    traces: one an image.
    """
    said = []
    total = sum(trace.visual_tokens for trace in traces)
    if sum(trace.mean_tokens for trace in traces) >= total:
        said.append(
            f"Nothing was pruned: these settings keep all {total} visual tokens in every layer, so there is no saving."
        )
    for number, trace in enumerate(traces, 1):
        which = f"Image {number}: " if len(traces) > 1 else ""
        said += [which + sentence for sentence in _about_region(trace)]
    return said


def _about_region(trace: TokenTrace) -> list[str]:
    said = []
    if not trace.in_region.any():
        said.append(
            "No visual token lies in the region: it is smaller than a token, or the model does not see that part."
        )
    total, lost = int(trace.in_region.sum()), int((trace.in_region & ~_read(trace)).sum())
    if lost and total > trace.alive_counts[trace.layers // 2] and not trace.region.is_whole:
        said.append(
            f"The region did not fit into the budget: {lost} of its {total} visual tokens were dropped, pooled, or "
            "pruned in the first half of the layers."
        )
    return said


def _read(trace: TokenTrace) -> np.ndarray:
    """(N,) bool: the token, pooled with no other, is there for more than half of the layers, in which a text reads."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    alone = np.where(trace.group < 0, 0, sizes[trace.group]) == 1
    return alone & (2 * trace.died_at > trace.layers)
