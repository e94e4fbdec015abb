"""A localizer by an open-vocabulary detector: what the question names is looked for, and the region holds its boxes.

Sources: Liu et al., Grounding DINO, arXiv 2303.05499; Zhao et al., MM-Grounding-DINO, arXiv 2401.02361; Fu et al.,
LLMDet, arXiv 2501.18954; Minderer et al., OWLv2, arXiv 2306.09683; Lüddecke and Ecker, CLIPSeg, arXiv 2112.10003. OURS:
the phrases (`crop_core.localize.phrases`), the choice among the boxes, by the answering model's attention too where it
is cheap, and the room beside them for what is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crop_core.localize.detector_models import Box, Detection, PhraseDetector, clipped, load_detector
from crop_core.localize.phrases import QuestionPhrases, Side, names_several, question_phrases
from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.localizer import SelfLocalizer
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import Adapter, ModelError, PreparedInputs
from crop_core.models.loading.hub import downloaded
from crop_core.records.explanation import ExplainedItem, Explanation, ExplanationMap
from crop_core.records.region import GRID, Region

DETECTOR = "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det"
CLIPSEG = "CIDAS/clipseg-rd64-refined"
BY_NAME = {"detector": DETECTOR, "clipseg": CLIPSEG}  # names in `records/localizers.py`
NEAR_BEST = 0.5  # of the best score of the same phrase
NAMED = 4  # phrases in a notice
BESIDE = 1.5  # sides of the named thing's box, for what lies beside it
NOTHING_NAMED = "The question names nothing that a detector could look for, so the region is the whole image."
NOTHING_FOUND = "The detector found no {}, so the region is the whole image."
BY_SCORE = "Boxes were chosen by score alone, since the answering model's attention could not be read: {}"
FOUND_SOME = "The detector found no {}; the region holds the rest of what the question names."


@dataclass(eq=False)
class DetectorLocalizer:
    """One forward pass for all phrases of the question. The region is the union of the boxes that are near the best of
    their phrase, snapped to the grid; its confidence is the mean over the phrases found of the best score, which
    detectors do not calibrate.
    """

    detector: PhraseDetector

    def __post_init__(self) -> None:
        self.weights_bytes = weights_bytes(self.detector.model)

    def localize_region(self, image: Image.Image, question: str) -> Region:
        """The region of an RGB image: source "predicted", or "whole" where nothing is named or found."""
        return self.localize(image, question).region

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """The region, notices, and the FLOPs, which are counted by one more pass."""
        return self._localize(image, question)

    def _localize(
        self, image: Image.Image, question: str, by_attention: Callable[[], LocalizationResult] | None = None
    ) -> LocalizationResult:
        asked = question_phrases(question)
        if not asked.phrases:
            return LocalizationResult(Region.whole(*image.size), notices=[NOTHING_NAMED])
        found = self.detector.detect(image, asked.phrases)
        near = near_best(found)
        seen, unread = _read(by_attention) if by_attention and _in_doubt(near, question) else (None, [])
        maps = seen.explanation.maps if seen and seen.explanation else []
        chosen = _attended(near, question, maps[0].values, image.size) if maps else near
        region = region_of(chosen, asked.side, image.size) if chosen else Region.whole(*image.size)
        return LocalizationResult(
            region,
            lambda: _sum(self.detector.flops(image, asked.phrases), seen.flops if seen else 0),
            [*unread, *(seen.notices if seen and maps else ()), *_notices(asked, chosen)],
            lambda: self._explanation(asked, found, chosen, maps),
        )

    def _explanation(
        self,
        asked: QuestionPhrases,
        found: Sequence[Detection],
        chosen: Sequence[Detection],
        maps: list[ExplanationMap],
    ) -> Explanation:
        items = [ExplainedItem.of_box(each.box, each.phrase, each.score, each in chosen) for each in found]
        phrases = ", ".join(f"“{phrase}”" for phrase in asked.phrases)
        side = f"; the region is wider, for what is {asked.side}" if asked.side and chosen else ""
        how = " by score and the answering model's attention" if maps else ""
        boxes = f"{len(found)} box{'es' * (len(found) != 1)} found, {len(chosen)} chosen{how}"
        return Explanation("detector", f"{self.detector.name} looked for {phrases}: {boxes}{side}.", items, maps)


@dataclass(eq=False)
class AttendedDetector(DetectorLocalizer):
    """A detector beside an answering model whose attention is cheap to read: of several boxes of one thing, those that
    the model attends to. Score times attention decides then; where no phrase has several boxes, attention is not read.
    """

    attention: SelfLocalizer

    @property
    def adapter(self) -> Adapter:
        """The answering model."""
        return self.attention.adapter

    def localize(self, image: Image.Image, question: str) -> LocalizationResult:
        """As of a detector; encodes the image where attention is read."""
        return self._localize(image, question, lambda: self.attention.localize(image, question))

    def localize_from_features(
        self, prepared: PreparedInputs, features: Any, image: Image.Image, question: str
    ) -> LocalizationResult:
        """As `localize`, for an encoded image."""
        shared = prepared, features, image, question
        return self._localize(image, question, lambda: self.attention.localize_from_features(*shared))


def beside(detector: PhraseDetector, adapter: Adapter) -> DetectorLocalizer:
    """The localizer of a detector for this answering model: with the model's attention where that costs a few layers
    over one token a cell, and is no guess.

    Raises ModelError for an invalid attention rule in the model's config.
    """
    own = SelfLocalizer(adapter)
    return AttendedDetector(detector, own) if own.is_cheap and not own.guesses else DetectorLocalizer(detector)


def detector(adapter: Adapter) -> DetectorLocalizer:
    """The default detector, where the answering model is."""
    return beside(load_detector(DETECTOR, adapter.device), adapter)


def downloaded_detector(adapter: Adapter) -> DetectorLocalizer | None:
    """The default detector, else CLIPSeg, if its weights are on this machine, where the answering model is."""
    for name in (DETECTOR, CLIPSEG):
        if folder := downloaded(name):
            found = load_detector(folder, adapter.device)
            found.name = name
            return DetectorLocalizer(found)
    return None


def clipseg(adapter: Adapter) -> DetectorLocalizer:
    """CLIPSeg, where the answering model is."""
    return beside(load_detector(CLIPSEG, adapter.device), adapter)


def near_best(found: Sequence[Detection], attention: Sequence[float] | None = None) -> list[Detection]:
    """Of every phrase the boxes whose score, times `attention` if given, is near its best."""
    values = [each.score * weight for each, weight in zip(found, attention or [1.0] * len(found), strict=True)]
    best: dict[str, float] = {}
    for each, value in zip(found, values, strict=True):
        best[each.phrase] = max(value, best.get(each.phrase, 0.0))
    return [each for each, value in zip(found, values, strict=True) if value >= NEAR_BEST * best[each.phrase]]


def _in_doubt(near: Sequence[Detection], question: str) -> bool:
    """Whether a phrase that names one thing has several boxes."""
    phrases = [each.phrase for each in near]
    return any(phrases.count(phrase) > 1 and not names_several(phrase, question) for phrase in set(phrases))


def _read(by_attention: Callable[[], LocalizationResult]) -> tuple[LocalizationResult | None, list[str]]:
    """The model's attention, or a notice why it cannot be read."""
    try:
        return by_attention(), []
    except ModelError as error:
        return None, [BY_SCORE.format(error)]


def _attended(
    near: Sequence[Detection], question: str, cells: NDArray[np.floating], size: tuple[int, int]
) -> list[Detection]:
    """Those boxes of a phrase for one thing that the model attends to, and all of other phrases. cells: (8, 8)."""
    several = {each.phrase for each in near if names_several(each.phrase, question)}
    return near_best(near, [1.0 if each.phrase in several else attention_in(each.box, cells, size) for each in near])


def attention_in(box: Box, cells: NDArray[np.floating], size: tuple[int, int]) -> float:
    """The mean over a box, in pixels of an image of (width, height), of the values (8, 8) of its cells."""
    across, down = (_overlap(box[k], box[k + 2], side) for k, side in enumerate(size))  # (8,) each
    return float(down @ cells @ across / (down.sum() * across.sum()))


def _overlap(low: float, high: float, side: int) -> NDArray[np.floating]:
    """(8,) length of low..high in each of eight equal parts of 0..side."""
    edges = np.linspace(0, side, GRID + 1)
    return np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0, None)


def _sum(*counts: int | None) -> int | None:
    """None where one of them is not counted."""
    return None if None in counts else sum(filter(None, counts))


def region_of(chosen: Sequence[Detection], side: Side | None, size: tuple[int, int]) -> Region:
    """The fewest cells that hold all boxes, each widened to the side where the answer lies."""
    boxes = [widened(each.box, side, size) for each in chosen]
    left, top = (min(box[k] for box in boxes) for k in (0, 1))
    right, bottom = (max(box[k] for box in boxes) for k in (2, 3))
    best = [max(each.score for each in chosen if each.phrase == phrase) for phrase in {each.phrase for each in chosen}]
    return Region.from_box((left, top, right, bottom), *size, "predicted", sum(best) / len(best))


def widened(box: Box, side: Side | None, size: tuple[int, int]) -> Box:
    """The box (left, top, right, bottom) in pixels with room on the side where the answer lies, inside the image."""
    left, top, right, bottom = box
    across, down = BESIDE * (right - left), BESIDE * (bottom - top)
    grown = (
        left - across * (side in ("left", "around")),
        top - down * (side in ("above", "around")),
        right + across * (side in ("right", "around")),
        bottom + down * (side in ("below", "around")),
    )
    return clipped(grown, size)


def _notices(asked: QuestionPhrases, chosen: Sequence[Detection]) -> list[str]:
    missing = [phrase for phrase in asked.phrases if not any(each.phrase == phrase for each in chosen)]
    if not missing:
        return []
    named = " and no ".join(f"“{phrase}”" for phrase in missing[:NAMED])
    if len(missing) > NAMED:
        named += f", nor {len(missing) - NAMED} more"
    return [(FOUND_SOME if chosen else NOTHING_FOUND).format(named)]
