"""Open-vocabulary detectors of transformers: boxes and scores of phrases, by each class's own post-processing.

Grounding DINO and its relatives read all phrases in one text, OWL one query a phrase, CLIPSeg paints a map a phrase,
whose warm cells are the box. Images are processed by PIL, without torchvision.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import transformers
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from crop_core.models.adapter import ModelError
from crop_core.models.loading.checkpoint import read_config, validate_checkpoint
from crop_core.models.loading.loader import load_parts, progress_bars
from crop_core.models.loading.memory_check import check_memory
from crop_core.models.loading.placement import Device, Placement
from crop_core.models.loading.registry import display_name, fetched, takes_long

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the original image
NO_NUMBERS = (
    "{} computes no numbers (NaN): its weights are damaged; download or save it again, or use another localizer."
)
SMALLEST = 1e-3  # of the image's side: thinner boxes are widened to it


@dataclass(frozen=True)
class Detection:
    """One box of a phrase with its score, 0..1."""

    box: Box
    score: float
    phrase: str


@dataclass(eq=False)
class PhraseDetector(ABC):
    """A detector with its processor. threshold: of the score, as the authors' examples have it; not measured here."""

    name: str
    model: Any
    processor: Any
    threshold: ClassVar[float]

    def detect(self, image: Image.Image, phrases: Sequence[str]) -> list[Detection]:
        """Boxes of an RGB image that reach the threshold, inside it, the best first."""
        inputs = self._inputs(image, phrases)
        with torch.inference_mode():
            outputs = self.model(**inputs)
        if bool(outputs.logits.isnan().any()):  # infinity is padding
            raise ModelError(NO_NUMBERS.format(self.name))
        found = [
            Detection(clipped(tuple(box), image.size), score, phrase)
            for box, score, phrase in self._found(outputs, inputs, image, phrases)
            if phrase and all(map(math.isfinite, (*box, score)))
        ]
        return sorted(found, key=lambda each: -each.score)

    def flops(self, image: Image.Image, phrases: Sequence[str]) -> int:
        """Floating-point operations of `detect`, by PyTorch's own count of one more pass."""
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            self.model(**self._inputs(image, phrases))
        return int(counter.get_total_flops())

    def _inputs(self, image: Image.Image, phrases: Sequence[str]) -> dict[str, Any]:
        inputs = self._processed(image, phrases)
        return {
            key: value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)
            for key, value in inputs.items()
        }

    @abstractmethod
    def _processed(self, image: Image.Image, phrases: Sequence[str]) -> Any:
        """What the processor makes of image and phrases."""

    @abstractmethod
    def _found(
        self, outputs: Any, inputs: dict[str, Any], image: Image.Image, phrases: Sequence[str]
    ) -> list[tuple[list[float], float, str]]:
        """Box, score and phrase of everything that reaches the threshold."""


class DinoDetector(PhraseDetector):
    """Grounding DINO, MM-Grounding-DINO, LLMDet: phrases in one text, with a dot behind each."""

    threshold = 0.3

    def _processed(self, image: Image.Image, phrases: Sequence[str]) -> Any:
        return self.processor(images=image, text=" ".join(f"{each}." for each in phrases), return_tensors="pt")

    def _found(
        self, outputs: Any, inputs: dict[str, Any], image: Image.Image, phrases: Sequence[str]
    ) -> list[tuple[list[float], float, str]]:
        (found,) = self.processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], self.threshold, self.threshold, target_sizes=[image.size[::-1]]
        )
        labels = [nearest_phrase(label, phrases) for label in found["text_labels"]]  # one, too, where there is no box
        return list(zip(found["boxes"].tolist(), found["scores"].tolist(), labels, strict=False))


class OwlDetector(PhraseDetector):
    """OWL-ViT and OWLv2: one text query a phrase."""

    threshold = 0.2

    def _processed(self, image: Image.Image, phrases: Sequence[str]) -> Any:
        return self.processor(images=image, text=[list(phrases)], return_tensors="pt", truncation=True)

    def _found(
        self, outputs: Any, inputs: dict[str, Any], image: Image.Image, phrases: Sequence[str]
    ) -> list[tuple[list[float], float, str]]:
        (found,) = self.processor.post_process_grounded_object_detection(
            outputs, self.threshold, target_sizes=[image.size[::-1]], text_labels=[list(phrases)]
        )
        return list(zip(found["boxes"].tolist(), found["scores"].tolist(), found["text_labels"], strict=True))


class ClipSegDetector(PhraseDetector):
    """CLIPSeg: a map of probabilities a phrase; the box holds all above the threshold, the score is the largest."""

    threshold = 0.4

    def _processed(self, image: Image.Image, phrases: Sequence[str]) -> Any:
        images = [image] * len(phrases)
        return self.processor(text=list(phrases), images=images, return_tensors="pt", padding=True, truncation=True)

    def _found(
        self, outputs: Any, inputs: dict[str, Any], image: Image.Image, phrases: Sequence[str]
    ) -> list[tuple[list[float], float, str]]:
        maps = outputs.logits.float().sigmoid().reshape(len(phrases), *outputs.logits.shape[-2:])  # (P, R, C)
        boxes = [warm_box(each, self.threshold, image.size) for each in maps]
        found = zip(boxes, maps, phrases, strict=True)
        return [(list(box), float(each.max()), phrase) for box, each, phrase in found if box]


def warm_box(values: torch.Tensor, threshold: float, size: tuple[int, int]) -> Box | None:
    """The smallest box, in pixels of an image of (width, height), around values (R, C) over a threshold."""
    rows, columns = (values > threshold).nonzero(as_tuple=True)
    if not len(rows):
        return None
    across, down = size[0] / values.shape[1], size[1] / values.shape[0]
    left, right, top, bottom = (int(each) for each in (columns.min(), columns.max(), rows.min(), rows.max()))
    return left * across, top * down, (right + 1) * across, (bottom + 1) * down


def nearest_phrase(label: str, phrases: Sequence[str]) -> str:
    """The phrase that shares most words with a detector's label, which may hold parts of several; "" for none."""
    words = set(label.lower().replace(".", " ").split())
    shared = {phrase: len(words & set(phrase.split())) / len(phrase.split()) for phrase in phrases}
    best = max(shared, key=lambda phrase: shared[phrase])
    return best if shared[best] else ""


def clipped(box: Sequence[float], size: tuple[int, int]) -> Box:
    """A box of pixels inside an image of (width, height); one outside, or without area, becomes a sliver."""
    (left, right), (top, bottom) = (_inside(box[k], box[k + 2], side) for k, side in enumerate(size))
    return left, top, right, bottom


def _inside(low: float, high: float, side: int) -> tuple[float, float]:
    low = min(max(low, 0.0), side * (1 - SMALLEST))
    return low, max(min(high, side), low + side * SMALLEST)


KINDS: dict[str, tuple[str, type[PhraseDetector]]] = {  # by model_type: class of transformers, and its detector
    "mm-grounding-dino": ("MMGroundingDinoForObjectDetection", DinoDetector),
    "grounding-dino": ("GroundingDinoForObjectDetection", DinoDetector),
    "owlv2": ("Owlv2ForObjectDetection", OwlDetector),
    "owlvit": ("OwlViTForObjectDetection", OwlDetector),
    "clipseg": ("CLIPSegForImageSegmentation", ClipSegDetector),
}


def detector_class(name: str, folder: Path) -> tuple[Any, type[PhraseDetector]]:
    """Class of transformers and detector of a checkpoint folder; ModelError where it holds no detector."""
    kind = read_config(name, folder).get("model_type")
    if kind not in KINDS:
        raise ModelError(f"{name} is a {kind!r} model and no detector; supported are {', '.join(KINDS)}.")
    model_class, detector = KINDS[kind]
    return getattr(transformers, model_class), detector


def load_detector(name: str | Path, device: Device | None = None, dtype: str | None = None) -> PhraseDetector:
    """The detector of a local folder or hub id, which is downloaded where it is not there yet, in eval mode.

    device, dtype: as in `crop_core.models.load`. Raises ModelError with one sentence.
    """
    place, name = Placement.of(device, dtype), str(name)
    with progress_bars(takes_long(name)):
        folder, (model_class, detector) = fetched(name, place, detector_class)
        check_memory(name, validate_checkpoint(name, folder), place)
        title = display_name(name, folder)
        model, processor = load_parts(title, folder, model_class, place)
    return detector(title, model, processor)
