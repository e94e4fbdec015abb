"""Localizers: which region of the image holds the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from crop_core.region import Region


@dataclass(frozen=True)
class Finding:
    """A region, how to count what finding it took (that can take longer than finding it), and what a user must know."""

    region: Region
    count: Callable[[], int] | None = None
    notices: Sequence[str] = ()

    @property
    def flops(self) -> int:
        """Floating-point operations, 0 where no model ran."""
        return self.count() if self.count else 0


class Localizer(Protocol):
    """Reads an RGB image and a question; weights_bytes is the size of its model, 0 without one."""

    @property
    def weights_bytes(self) -> int:
        """Bytes of the localizer's own weights."""

    def find(self, image: Image.Image, question: str) -> Finding:
        """The region and what it cost."""

    def locate(self, image: Image.Image, question: str) -> Region:
        """The region alone."""
