"""How good the localizer's regions are: overlap with what is needed, coverage of it, and the whole image in its place.

Pure arithmetic over sheets.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from crop_core.bench.examiner import ALL, Sheet
from crop_core.bench.reliability import Bin, bins, ece
from crop_core.localize import calibration
from crop_core.region import Region


def iou(a: Region, b: Region) -> float:
    """Intersection over union of two regions, in grid cells."""
    return float(calibration.iou([a.grid], [b.grid])[0])


def covers(a: Region, b: Region) -> bool:
    """Whether region `a` holds all cells of region `b`."""
    return bool(calibration.covers([a.grid], [b.grid])[0])


def figures(sheets: Sequence[Sheet]) -> dict[str, float | None]:
    """Means over some questions; None where no question is of the sort.

    iou and coverage: of all of them. whole_image: of those that need the whole image, the share for which the region is
    all 64 cells; whole_image_wrongly: the same of those for which fewer cells would do. confidence and ece: the mean
    confidence, and how far it is from the coverage that it should foretell.
    """
    wholes = [sheet for sheet in sheets if sheet.needs_everything]
    others = [sheet for sheet in sheets if not sheet.needs_everything]
    return {
        "iou": _mean([iou(sheet.found, sheet.needed) for sheet in sheets]),
        "coverage": _mean([covers(sheet.found, sheet.needed) for sheet in sheets]),
        "whole_image": _mean([sheet.found.is_whole for sheet in wholes]),
        "whole_image_wrongly": _mean([sheet.found.is_whole and not sheet.needed.is_whole for sheet in others]),
        "confidence": _mean([sheet.found.confidence or 0.0 for sheet in sheets]),
        "ece": ece(reliability(sheets)),
    }


def reliability(sheets: Sequence[Sheet]) -> list[Bin]:
    """Coverage by confidence."""
    return bins(
        [(sheet.found.confidence or 0.0, covers(sheet.found, sheet.needed)) for sheet in sheets],
    )


def summary(sheets: Sequence[Sheet]) -> dict[str, Any]:
    """`figures` of all sheets, the same by kind, and the bins behind the calibration error."""
    kinds: dict[str, list[Sheet]] = defaultdict(list)
    for sheet in sheets:
        kinds[sheet.kind].append(sheet)
    return {
        **figures(sheets),
        "by_kind": {kind: figures(group) for kind, group in kinds.items()},
        "reliability": [each.to_json() for each in reliability(sheets)],
    }


def subset(sheets: Sequence[Sheet], per_kind: int) -> dict[str, Any]:
    """How the first questions of each kind were answered with all tokens, and the mean IoU of their regions."""
    kinds: Counter[str] = Counter()
    first = []
    for sheet in sheets:
        kinds[sheet.kind] += 1
        if kinds[sheet.kind] <= per_kind:
            first.append(sheet)
    return {
        "per_kind": per_kind,
        "right": sum(sheet.is_right(ALL) for sheet in first),
        "answers": [sheet.replies[ALL].text for sheet in first],
        "iou": _mean([iou(sheet.found, sheet.needed) for sheet in first]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
