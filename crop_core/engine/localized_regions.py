"""What localizing leaves for the answer: the regions of a question's images, and images that it has encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from crop_core.localize import LocalizationResult, Localizer, not_counted
from crop_core.measure.timing import now
from crop_core.models import PreparedInputs
from crop_core.records.explanation import Localization
from crop_core.records.region import Region
from crop_core.records.results import Answer


@dataclass(frozen=True)
class Encoded:
    """A preprocessed question and the vision features of its images; any number of runs may read it."""

    prepared: PreparedInputs
    features: Any
    watched: Any = None  # the recorded attention of the vision tower, for methods that read it


@dataclass(frozen=True)
class LocalizedRegions:
    """Results of localizers, one an image, and their seconds. encoded: images that a localizer encoded for itself and
    for the answer, in encode_s more seconds, which are no part of `seconds`.
    """

    results: list[LocalizationResult]
    seconds: float
    encoded: Encoded | None = None
    encode_s: float = 0.0

    @property
    def regions(self) -> list[Region]:
        """One an image."""
        return [result.region for result in self.results]

    @property
    def flops(self) -> int | None:
        """FLOPs of localizing in all images, without the encoding for the answer; None where some are not counted."""
        counts = [result.flops for result in self.results]
        return None if None in counts else sum(filter(None, counts))

    @property
    def counted(self) -> bool:
        """Whether PyTorch sees the work and memory of all localizers."""
        return all(result.count is not not_counted for result in self.results)

    @property
    def predicted(self) -> bool:
        """Whether a model ran for any of them."""
        return any(result.count is not None for result in self.results)

    def for_cache(self) -> LocalizedRegions:
        """The regions with FLOPs and explanation made, without references to features."""
        return LocalizedRegions([result.evaluated() for result in self.results], self.seconds)


def explained(answer: Answer, located: LocalizedRegions) -> Answer:
    """The answer with what led to each region in its traces."""
    pairs = zip(answer.traces, located.results, strict=True)
    return replace(answer, traces=tuple(replace(trace, explanation=each.explanation) for trace, each in pairs))


def localize_alone(localizer: Localizer, image: Image.Image, question: str, device: torch.device) -> Localization:
    """One region by itself: what led to it, and what it cost. device: of the answering model."""
    start = now(device)
    result = localizer.localize(image, question)
    seconds = now(device) - start
    return Localization(
        result.region, result.explanation, list(result.notices), seconds, result.flops, localizer.weights_bytes
    )
