"""The default localizer of a model without one of its own: the image's text, or the model's attention.

OURS. The text counts only where its reader is installed and a line fits the question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from PIL import Image

from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.localizer import SelfLocalizer
from crop_core.localize.text.localizer import TextLocalizer
from crop_core.localize.text.reader import installed
from crop_core.localize.text.rules import is_text_question
from crop_core.models.adapter import Adapter, PreparedInputs
from crop_core.records.explanation import Explanation
from crop_core.records.region import Region

NO_LINE = "No text that was read fits the question, so the answering model's own attention was used."


@dataclass(eq=False)
class AutoLocalizer:
    """adapter: the answering model. Raises ModelError for an invalid attention rule in its config."""

    adapter: Adapter

    def __post_init__(self) -> None:
        self._own = SelfLocalizer(self.adapter)
        self._reads = installed()

    @cached_property
    def _text(self) -> TextLocalizer:
        """Loaded by the first question about text."""
        return TextLocalizer()

    @property
    def weights_bytes(self) -> int:
        """Bytes of the reader's networks, once they are loaded."""
        return self._text.weights_bytes if "_text" in vars(self) else 0

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region by text or attention, with the notices of the one that found it."""
        return self._localize(image, question, lambda: self._own.localize(image, question))

    def localize_from_features(
        self, prepared: PreparedInputs, features: Any, image: Image.Image, question: str
    ) -> LocalizationResult:
        """As `localize`, for an encoded image."""
        shared = prepared, features, image, question
        return self._localize(image, question, lambda: self._own.localize_from_features(*shared))

    def _localize(
        self, image: Image.Image, question: str, by_attention: Callable[[], LocalizationResult]
    ) -> LocalizationResult:
        if not (self._reads and is_text_question(question)):
            return by_attention()
        read = self._text.localize(image, question)
        if not read.region.is_whole:
            return read
        own = by_attention()
        return replace(
            own,
            count=read.count,
            notices=(NO_LINE, *own.notices),
            explain=lambda: _joined(read.explanation, own.explanation),
        )


def _joined(read: Explanation | None, own: Explanation | None) -> Explanation | None:
    """The attention that decided, with the lines that did not."""
    if read is None or own is None:
        return own or read
    return replace(own, summary=f"{read.summary} {own.summary}", items=read.items)
