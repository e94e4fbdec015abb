"""A localizer that answers in the brackets format, and which localizer a loaded checkpoint is.

Plain and slow: the answer so far is fed whole for each of its four numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from crop_core.localize import Finding, GridLocalizer
from crop_core.localize.calibration import KEY, Calibration
from crop_core.localize.formats import BRACKETS
from crop_core.localize.reading import Floats, read
from crop_core.measure.memory import weights_bytes
from crop_core.models import Adapter
from crop_core.region import Region
from crop_core.tune.answer import Spelling, logits

FORMAT = "format"
NAME = "brackets"


def mark(adapter: Adapter, calibration: Calibration) -> None:
    """Write into the model's config that it answers in brackets, and how it is calibrated."""
    adapter.model.config.crop_region = {FORMAT: NAME, **calibration.to_json()}


def localizer_of(adapter: Adapter) -> BracketsLocalizer | GridLocalizer:
    """The localizer for what the checkpoint's config says."""
    told = getattr(adapter.model.config, KEY, None)
    if isinstance(told, dict) and told.get(FORMAT) == NAME:
        rule = {name: value for name, value in told.items() if name != FORMAT}
        return BracketsLocalizer(adapter, Calibration(**rule))
    return GridLocalizer(adapter)


@dataclass(eq=False)
class BracketsLocalizer:
    """Raises ModelError for a tokenizer that cannot spell the format."""

    adapter: Adapter
    calibration: Calibration

    def __post_init__(self) -> None:
        self._spelling = Spelling.of(self.adapter.tokenizer, BRACKETS, self.adapter.name)
        self.weights_bytes = weights_bytes(self.adapter.model)

    def locate(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image, source "predicted", with its confidence."""
        reading = read(self.probabilities(image, question), self.calibration.doubt)
        confidence = self.calibration.confidence(reading.log_covered)
        return Region(*reading.numbers, *image.size, source="predicted", confidence=confidence)

    def find(self, image: Image.Image, question: str) -> Finding:
        """The region; its work is not counted."""
        return Finding(self.locate(image, question))

    @torch.inference_mode()
    def probabilities(self, image: Image.Image, question: str) -> Floats:
        """(4, 8): each number's, given the most likely ones before it; 0 for those below the axis' first one."""
        inputs = self.adapter.prepare(image, BRACKETS.ask(question))
        rows, numbers = [], [0] * 4
        for index, (place, tokens) in enumerate(zip(self._spelling.places, self._spelling.numbers, strict=True)):
            row: Any = logits(self.adapter, inputs, self._spelling.say(numbers))[place, list(tokens)].double()  # (8,)
            if index >= 2:
                row[: numbers[index - 2]] = -torch.inf
            numbers[index] = int(row.argmax())
            rows.append(row.softmax(-1))
        return torch.stack(rows).cpu().numpy()
