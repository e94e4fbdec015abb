"""Interface of localizers: the region of the image that holds the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.records.explanation import Explanation
from crop_core.records.region import Region


@dataclass(frozen=True)
class LocalizationResult:
    """A region, and notices for the user.

    count: counts its FLOPs, which can be slower than localizing. explain: tells how the region came about. Both are
    called at most once, and may refer to what was computed.
    """

    region: Region
    count: Callable[[], int | None] | None = None
    notices: Sequence[str] = ()
    explain: Callable[[], Explanation | None] | None = None

    @cached_property
    def flops(self) -> int | None:
        """Floating-point operations; 0 where no model ran, None where they are not counted."""
        return self.count() if self.count else 0

    @cached_property
    def explanation(self) -> Explanation | None:
        """How the region came about; None where nothing led to it, such as a drawn one."""
        return self.explain() if self.explain else None

    def evaluated(self) -> LocalizationResult:
        """The same result, counted and explained, without references to what was computed."""
        flops, explanation = self.flops, self.explanation
        return replace(self, count=lambda: flops, explain=lambda: explanation)


def not_counted() -> None:
    """`LocalizationResult.count` of a localizer outside PyTorch, whose work and memory PyTorch does not see."""


class Localizer(Protocol):
    """Reads an RGB image and a question; weights_bytes is the size of its model, 0 without one."""

    @property
    def weights_bytes(self) -> int:
        """Bytes of the localizer's own weights."""

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region and its cost."""

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region alone."""


@runtime_checkable
class SharedEncoderLocalizer(Protocol):
    """A localizer that reuses the answering model and its encoded image."""

    @property
    def adapter(self) -> Adapter:
        """The answering model."""

    def localize_from_features(
        self, prepared: PreparedInputs, features: Any, image: Image.Image, question: str
    ) -> LocalizationResult:
        """The region, and its cost without that of `adapter.prepare` and `adapter.encode`, whose results are passed."""
