"""The default localizer of a model without one of its own: the image's text, the model's attention, or a detector.

OURS. The text counts only where its reader is installed and a line fits the question; a detector only where the model's
attention rule is the plain one, whose regions are guesses, and the detector's weights are on this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from PIL import Image

from crop_core.localize.detector import DetectorLocalizer, downloaded_detector
from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.localizer import SelfLocalizer
from crop_core.localize.text.localizer import TextLocalizer
from crop_core.localize.text.rules import is_text_question
from crop_core.models.adapter import Adapter, ModelError, PreparedInputs
from crop_core.records.explanation import Explanation
from crop_core.records.localizers import LOCALIZERS, TEXT
from crop_core.records.region import Region

NO_LINE = "No text that was read fits the question, so it was looked for elsewhere."
BY_DETECTOR = (
    "The region was found by {}, which is on this machine: its boxes are proven in its paper, the phrases that it "
    "looks for here, the two together nowhere."
)


@dataclass(eq=False)
class AutoLocalizer:
    """adapter: the answering model. Raises ModelError for an invalid attention rule in its config.

    A detector that is there but cannot be loaded is told, and attention used.
    """

    adapter: Adapter

    def __post_init__(self) -> None:
        self._own = SelfLocalizer(self.adapter)
        self._reads = LOCALIZERS[TEXT].installed
        self._unloaded = ""  # why the detector cannot be used

    @cached_property
    def _text(self) -> TextLocalizer:
        """Loaded by the first question about text."""
        return TextLocalizer()

    @cached_property
    def _detector(self) -> DetectorLocalizer | None:
        """Loaded by the first question, where the model itself would guess."""
        try:
            return downloaded_detector(self.adapter) if self._own.guesses else None
        except ModelError as error:
            self._unloaded = f"{error} So the answering model's own attention was used."
            return None

    @property
    def weights_bytes(self) -> int:
        """Bytes of the reader's networks and of the detector, once they are loaded."""
        loaded = (vars(self).get(name) for name in ("_text", "_detector"))
        return sum(each.weights_bytes for each in loaded if each is not None)

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region by text, detector or attention, with the notices of the one that found it."""
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
            return self._seen(image, question, by_attention)
        read = self._text.localize(image, question)
        if not read.region.is_whole:
            return read
        seen = self._seen(image, question, by_attention)
        return replace(
            seen,
            count=read.count,
            notices=(NO_LINE, *seen.notices),
            explain=lambda: _joined(read.explanation, seen.explanation),
        )

    def _seen(
        self, image: Image.Image, question: str, by_attention: Callable[[], LocalizationResult]
    ) -> LocalizationResult:
        """The region by the detector, if there is one, else by attention."""
        if self._detector is None:
            own = by_attention()
            return replace(own, notices=(*filter(None, [self._unloaded]), *own.notices))
        found = self._detector.localize(image, question)
        return replace(found, notices=(BY_DETECTOR.format(self._detector.detector.name), *found.notices))


def _joined(read: Explanation | None, own: Explanation | None) -> Explanation | None:
    """What decided, with the lines that did not."""
    if read is None or own is None:
        return own or read
    return replace(own, summary=f"{read.summary} {own.summary}", items=[*read.items, *own.items])
