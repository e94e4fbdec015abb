"""Memory of localizing by itself, and in the total: a localizer outside PyTorch is seen by the system alone."""

from __future__ import annotations

from collections.abc import Callable

import torch

from crop_core.engine.localized_regions import LocalizedRegions
from crop_core.measure.memory import RESIDENT_METHOD, ResidentPeak, peak_meter
from crop_core.records.timing import Peak


def localizer_peak(localize: Callable[[], LocalizedRegions], device: torch.device) -> Peak:
    """Peak of one more localization. device: of the answering model."""
    seen, method = peak_meter(device)
    with ResidentPeak() as resident, seen:
        located = localize()
    if located.counted:
        return Peak(seen.peak, method) if located.predicted else Peak()
    return Peak() if resident.peak is None else Peak(resident.peak, RESIDENT_METHOD)


def total_peak(localizing: Peak, answering: Peak) -> Peak:
    """Peak of localizing and then answering. localizing: of `localizer_peak`; answering: what PyTorch saw of both."""
    if localizing.method != RESIDENT_METHOD:
        return answering
    if answering.method.startswith("torch.cuda"):
        return Peak(answering.bytes, f"{answering.method}; the localizer's is memory of the host, and apart")
    most = max(localizing.bytes, answering.bytes)
    return Peak(most, f"{answering.method}; of the localizer the {RESIDENT_METHOD}")
