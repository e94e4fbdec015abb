"""Records of a run's visual tokens: the LLM's input tokens before the run, a trace of every image after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from crop_core.models import TokenLayout
from crop_core.prune import VisualTokens
from crop_core.records.compression_plan import CompressionPlan
from crop_core.records.region import Region
from crop_core.records.trace import PruneStep, TokenTrace


def visual_tokens(
    layouts: Sequence[TokenLayout], regions: Sequence[Region], plans: Sequence[CompressionPlan]
) -> VisualTokens:
    """The LLM's visual input tokens, on the host; a token is inside the region when all of its members are."""
    inside = [
        plan.inside(region.mask(layout.boxes)) for layout, region, plan in zip(layouts, regions, plans, strict=True)
    ]
    image = np.repeat(np.arange(len(plans)), [plan.count for plan in plans])
    return VisualTokens(torch.from_numpy(np.concatenate(inside)), torch.from_numpy(image), len(plans))


def token_traces(
    layouts: Sequence[TokenLayout],
    regions: Sequence[Region],
    plans: Sequence[CompressionPlan],
    steps: Sequence[PruneStep],
    layers: int,
) -> list[TokenTrace]:
    """A trace an image; each counts its own tokens from 0 on."""
    traces, start = [], 0
    for layout, region, plan in zip(layouts, regions, plans, strict=True):
        own = [step.part(start, start + plan.count) for step in steps]
        traces.append(
            TokenTrace(
                layout.image_size,
                layout.boxes,
                layout.visible,
                region,
                region.mask(layout.boxes),
                np.asarray(plan.group),
                np.asarray(plan.ring),
                layers,
                own,
                layout.view,
            )
        )
        start += plan.count
    return traces
