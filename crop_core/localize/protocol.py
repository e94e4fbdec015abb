"""Interface of localizers: the region of the image that holds the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from PIL import Image

from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.records.region import Region


@dataclass(frozen=True)
class LocalizationResult:
    """A region, a function that counts its FLOPs (which can be slower than localizing), and notices for the user."""

    region: Region
    count: Callable[[], int] | None = None
    notices: Sequence[str] = ()

    @cached_property
    def flops(self) -> int:
        """Floating-point operations, counted once; 0 where no model ran."""
        return self.count() if self.count else 0


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
        self, prepared: PreparedInputs, features: Any, image_size: tuple[int, int]
    ) -> LocalizationResult:
        """The region, and its cost without that of `adapter.prepare` and `adapter.encode`, whose results are passed."""
