"""How good the localizer's regions are: overlap with the needed region, coverage of it, and confidence."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tqdm import tqdm

from crop_core.bench.heldout import Item
from crop_core.localize import Localizer
from crop_core.region import Region


@dataclass(frozen=True)
class Overlap:
    """A predicted region against the needed one: IoU in grid cells, whether it covers all of it, its confidence."""

    kind: str
    iou: float
    covers: bool
    confidence: float


def iou(a: Region, b: Region) -> float:
    """Intersection over union of two regions, in grid cells."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0) + 1
    height = min(a.y1, b.y1) - max(a.y0, b.y0) + 1
    shared = max(0, width) * max(0, height)
    return shared / (_area(a) + _area(b) - shared)


def covers(a: Region, b: Region) -> bool:
    """Whether region `a` holds all cells of region `b`."""
    return a.x0 <= b.x0 and a.y0 <= b.y0 and a.x1 >= b.x1 and a.y1 >= b.y1


def _area(region: Region) -> int:
    return (region.x1 - region.x0 + 1) * (region.y1 - region.y0 + 1)


def measure(localizer: Localizer, items: list[Item]) -> list[Overlap]:
    """The localizer on every item."""
    found = []
    for item in tqdm(items, desc="localizer", mininterval=5):
        region = localizer.locate(item.scene.image, item.question.text)
        found.append(
            Overlap(item.question.kind, iou(region, item.region), covers(region, item.region), region.confidence or 0.0)
        )
    return found


def summary(found: list[Overlap]) -> dict[str, dict[str, float]]:
    """Mean IoU and coverage, overall and by kind, and how far confidence is from the IoU it should foretell."""
    groups: dict[str, list[Overlap]] = defaultdict(list)
    for overlap in found:
        groups["overall"].append(overlap)
        groups[overlap.kind].append(overlap)
    return {
        name: {
            "iou": sum(o.iou for o in group) / len(group),
            "coverage": sum(o.covers for o in group) / len(group),
            "confidence": sum(o.confidence for o in group) / len(group),
        }
        for name, group in groups.items()
    }
