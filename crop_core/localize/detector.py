"""A localizer by an open-vocabulary detector: what the question names is looked for, and the region holds its boxes.

Sources: Liu et al., Grounding DINO, arXiv 2303.05499; Zhao et al., MM-Grounding-DINO, arXiv 2401.02361; Fu et al.,
LLMDet, arXiv 2501.18954; Minderer et al., OWLv2, arXiv 2306.09683; Lüddecke and Ecker, CLIPSeg, arXiv 2112.10003. OURS:
the phrases (`crop_core.localize.phrases`), the choice among the boxes, and the room beside them for what is not named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from crop_core.localize.detector_models import Box, Detection, PhraseDetector, clipped, load_detector
from crop_core.localize.phrases import QuestionPhrases, Side, question_phrases
from crop_core.localize.protocol import LocalizationResult
from crop_core.measure.memory import weights_bytes
from crop_core.models.adapter import Adapter
from crop_core.models.loading.hub import downloaded
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.region import Region

DETECTOR = "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det"
CLIPSEG = "CIDAS/clipseg-rd64-refined"
NEAR_BEST = 0.5  # of the best score of the same phrase
BESIDE = 1.5  # sides of the named thing's box, for what lies beside it
NOTHING_NAMED = "The question names nothing that a detector could look for, so the region is the whole image."
NOTHING_FOUND = "The detector found no {}, so the region is the whole image."
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
        asked = question_phrases(question)
        if not asked.phrases:
            return LocalizationResult(Region.whole(*image.size), notices=[NOTHING_NAMED])
        found = self.detector.detect(image, asked.phrases)
        chosen = near_best(found)
        region = region_of(chosen, asked.side, image.size) if chosen else Region.whole(*image.size)
        return LocalizationResult(
            region,
            lambda: self.detector.flops(image, asked.phrases),
            _notices(asked, chosen),
            lambda: self._explanation(asked, found, chosen),
        )

    def _explanation(
        self, asked: QuestionPhrases, found: Sequence[Detection], chosen: Sequence[Detection]
    ) -> Explanation:
        items = [ExplainedItem.of_box(each.box, each.phrase, each.score, each in chosen) for each in found]
        phrases = ", ".join(f"“{phrase}”" for phrase in asked.phrases)
        side = f"; the region is wider, for what is {asked.side}" if asked.side and chosen else ""
        boxes = f"{len(found)} box{'es' * (len(found) != 1)} found, {len(chosen)} chosen"
        return Explanation("detector", f"{self.detector.name} looked for {phrases}: {boxes}{side}.", items)


def detector(adapter: Adapter) -> DetectorLocalizer:
    """The default detector, where the answering model is."""
    return DetectorLocalizer(load_detector(DETECTOR, adapter.device))


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
    return DetectorLocalizer(load_detector(CLIPSEG, adapter.device))


def near_best(found: Sequence[Detection]) -> list[Detection]:
    """Of every phrase the boxes whose score is near its best."""
    best: dict[str, float] = {}
    for each in found:
        best[each.phrase] = max(each.score, best.get(each.phrase, 0.0))
    return [each for each in found if each.score >= NEAR_BEST * best[each.phrase]]


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
    named = " and no ".join(f"“{phrase}”" for phrase in missing)
    return [(FOUND_SOME if chosen else NOTHING_FOUND).format(named)]
