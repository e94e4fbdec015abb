"""Evaluation of a localizer's regions: overlap, coverage, size and time. For any localizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from crop_core.io.images import ImageError
from crop_core.io.row_reader import Skipped
from crop_core.localize import Localizer
from crop_core.localize.calibration import covers, iou
from crop_core.measure.timing import now
from crop_core.records import formatting
from crop_core.records.comparison_table import columns
from crop_core.records.region import GRID, Region
from crop_core.train.localizer.data import Example
from crop_core.train.localizer.settings import TuneError

ALL = "all"


@dataclass(frozen=True)
class EvaluatedExample:
    """A localizer's region for one question, and its seconds."""

    example: Example
    region: Region
    seconds: float


@dataclass(frozen=True)
class LocalizerFigures:
    """Means over `questions`. iou: with the needed cells. coverage: share of regions that contain all of them.
    area: share of the grid's cells in a region. seconds: per region.
    """

    questions: int
    iou: float
    coverage: float
    area: float
    seconds: float

    @classmethod
    def of(cls, results: Sequence[EvaluatedExample]) -> LocalizerFigures:
        """Figures of at least one question."""
        regions, needed = [each.region.grid for each in results], [each.example.grid for each in results]
        return cls(
            len(results),
            float(iou(regions, needed).mean()),
            float(covers(regions, needed).mean()),
            fmean((x1 - x0 + 1) * (y1 - y0 + 1) / GRID**2 for x0, y0, x1, y1 in regions),
            fmean(each.seconds for each in results),
        )


def readable(examples: Iterable[Example], skipped: Skipped) -> Iterator[tuple[Example, Image.Image]]:
    """Examples with their images, those that cannot be read skipped. Raises TuneError at the end where none can."""
    any_readable = False
    for example in tqdm(examples, desc="regions", mininterval=5, leave=None):
        try:
            yield example, example.open()
            any_readable = True
        except ImageError as error:
            skipped.add(str(example.image), error)
    if not any_readable:
        raise TuneError(f"None of the images can be read: {skipped}.")


def localize_all(
    localizer: Localizer, examples: Iterable[Example], device: torch.device, skipped: Skipped | None = None
) -> list[EvaluatedExample]:
    """Localize in every example, with a progress line on stderr; times are without reading the image.

    Images that cannot be read are skipped. Raises TuneError where all are.
    """
    results = []
    for example, image in readable(examples, Skipped() if skipped is None else skipped):
        start = now(device)
        region = localizer.localize(image, example.question).region
        results.append(EvaluatedExample(example, region, now(device) - start))
    return results


def by_kind(results: Sequence[EvaluatedExample]) -> dict[str, LocalizerFigures]:
    """Figures of all, then of each kind in order of appearance; of all alone where none has a kind."""
    kinds = dict.fromkeys(each.example.kind for each in results)
    groups = {kind or "other": [each for each in results if each.example.kind == kind] for kind in kinds}
    return {
        ALL: LocalizerFigures.of(results),
        **({} if set(kinds) == {""} else {k: LocalizerFigures.of(v) for k, v in groups.items()}),
    }


def table(figures: dict[str, LocalizerFigures]) -> str:
    """Aligned text lines, one for each group."""
    head = ("", "questions", "mean IoU", "covers all", "mean area", "mean time")
    rows = [
        (
            name,
            str(f.questions),
            f"{f.iou:.3f}",
            f"{f.coverage:.1%}",
            f"{f.area:.1%}",
            formatting.format_seconds(f.seconds),
        )
        for name, f in figures.items()
    ]
    return "\n".join(columns([head, *rows]))


def to_json(figures: dict[str, LocalizerFigures]) -> dict[str, Any]:
    """Plain values."""
    return {name: asdict(each) for name, each in figures.items()}
