"""Notices for the user about a comparison. Reads traces only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crop_core.records.trace import TokenTrace


def region_notices(traces: Sequence[TokenTrace]) -> list[str]:
    """Notices of easily misread runs: nothing pruned, region tokens lost, region not visible to the model.

    traces: one per image.
    """
    notices = []
    total = sum(trace.visual_tokens for trace in traces)
    if sum(trace.mean_tokens for trace in traces) >= total:
        notices.append(
            f"Nothing was pruned: these settings keep all {total} visual tokens in every layer, so there is no saving."
        )
    for number, trace in enumerate(traces, 1):
        which = f"Image {number}: " if len(traces) > 1 else ""
        notices += [which + sentence for sentence in _region_notices(trace)]
    return notices


def _region_notices(trace: TokenTrace) -> list[str]:
    notices = []
    if not trace.in_region.any():
        notices.append(
            "No visual token lies in the region: it is smaller than a token, or the model does not see that part."
        )
    total, lost = int(trace.in_region.sum()), int((trace.in_region & ~_is_read(trace)).sum())
    if lost and total > trace.alive_counts[trace.layers // 2] and not trace.region.is_whole:
        notices.append(
            f"The region did not fit into the budget: {lost} of its {total} visual tokens were dropped, pooled, or "
            "pruned in the first half of the layers."
        )
    return notices


def _is_read(trace: TokenTrace) -> np.ndarray:
    """(N,) bool: whether the token, unpooled, is alive in more than half of the layers, where the text reads it."""
    sizes = np.bincount(trace.group[trace.group >= 0], minlength=trace.input_tokens)
    alone = np.where(trace.group < 0, 0, sizes[trace.group]) == 1
    return alone & (2 * trace.died_at > trace.layers)
