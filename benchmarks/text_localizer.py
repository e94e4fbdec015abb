"""`python -m benchmarks.text_localizer`: the text localizer on drawn pages and on the signs of the benchmark's scenes.

Pages and questions are those to report with (`benchmarks.text_pages.pages.REPORTING`), which no rule was chosen with;
`--choosing` measures the others. Writes benchmarks/results/text_localizer.json, whose tables `python -m
benchmarks.publish` puts into docs/localizers.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from PIL import Image
from tqdm import tqdm

from benchmarks.text_pages.pages import CHOOSING, REPORTING, pages
from benchmarks.text_pages.sheet import DrawnPage
from crop_core.evaluate.report.table import markdown
from crop_core.localize import Localizer, SelfLocalizer, TextLocalizer, localizer_for
from crop_core.localize.calibration import covers, iou
from crop_core.localize.text.lines import Line
from crop_core.localize.text.reader import TextReader
from crop_core.measure.memory import RESIDENT_METHOD, ResidentPeak
from crop_core.measure.timing import now
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, load
from crop_core.records.environment import benchmark_environment
from crop_core.records.region import GRID, Region
from crop_core.train.world import splits
from crop_core.train.world.held_out import held_out

OUT = Path("benchmarks/results/text_localizer.json")
PACKAGES = ("torch", "transformers", "onnxruntime", "rapidocr-onnxruntime")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Result:
    """One question. groups: kind of page and how it was spoiled. covered: whether all of the answer's cells are in the
    region. area: share of the 64 cells. confidence: None for the whole image.
    """

    groups: tuple[str, ...]
    covered: bool
    iou: float
    area: float
    whole: bool
    confidence: float | None

    @classmethod
    def of(cls, groups: tuple[str, ...], region: Region, needed: Region) -> Result:
        """region: predicted; needed: the smallest that holds the answer."""
        covered, shared = covers([region.grid], [needed.grid])[0], iou([region.grid], [needed.grid])[0]
        x0, y0, x1, y1 = region.grid
        area = (x1 - x0 + 1) * (y1 - y0 + 1) / GRID**2
        return cls(groups, bool(covered), float(shared), area, region.is_whole, region.confidence)


class OnceReader:
    """Reads each image once for all of its questions; seconds: of each."""

    def __init__(self) -> None:
        self._reader = TextReader()
        self.weights_bytes = self._reader.weights_bytes
        self.seconds: list[float] = []
        self._last: tuple[bytes, list[Line]] = (b"", [])

    def read(self, image: Image.Image) -> list[Line]:
        """As `TextReader.read`."""
        key = image.tobytes()
        if self._last[0] != key:
            start = now(CPU)
            self._last = key, self._reader.read(image)
            self.seconds.append(now(CPU) - start)
        return self._last[1]

    def knows(self, letters: str) -> bool:
        """As `TextReader.knows`."""
        return self._reader.knows(letters)


def on_pages(drawn: Iterator[DrawnPage], localizer: Localizer) -> list[Result]:
    """Every question about every page."""
    return [
        Result.of(_groups(page), localizer.localize_region(page.image, each.question), _region(each.box, page.image))
        for page in drawn
        for each in page.asked
    ]


def _groups(page: DrawnPage) -> tuple[str, ...]:
    return page.kind, page.turn, "small" if page.small else "large", "noisy" if page.noisy else "clean"


def _region(box: tuple[float, float, float, float], image: Image.Image) -> Region:
    return Region.from_box(box, *image.size, "predicted")


def on_signs(localizers: Mapping[str, Localizer], count: int, scenes: range) -> dict[str, list[Result]]:
    """The questions about signs, by localizer."""
    items = [item for item in held_out(count, scenes) if item.question.kind == "text"]
    return {
        name: [
            Result.of(("sign",), localizer.localize_region(item.scene.image, item.question.text), item.region)
            for item in tqdm(items, name, mininterval=5)
        ]
        for name, localizer in localizers.items()
    }


def figures(results: Sequence[Result]) -> dict[str, float]:
    """Number of questions, and means over them; the mean confidence of those that have one."""
    given = [each.confidence for each in results if each.confidence is not None]
    return {
        "questions": len(results),
        **{name: mean(getattr(each, name) for each in results) for name in ("covered", "iou", "area", "whole")},
        "confidence": mean(given) if given else 0.0,
    }


def by_group(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Figures of all, then of each kind, turn, size and noise."""
    names = dict.fromkeys(sorted(name for each in results for name in each.groups))
    return {"all": figures(results)} | {name: figures([r for r in results if name in r.groups]) for name in names}


def table(rows: Mapping[str, Mapping[str, float]], first: str) -> str:
    """Markdown: figures by name."""
    head = [first, "questions", "covered", "mean area", "mean IoU", "whole image", "confidence"]
    shares = ("covered", "area", "iou", "whole", "confidence")
    lines = [[name, f"{row['questions']:.0f}", *(f"{row[key]:.1%}" for key in shares)] for name, row in rows.items()]
    for line in lines:
        line[4] = f"{float(line[4].rstrip('%')) / 100:.2f}"
    return markdown(head, lines)


def fragments(result: Mapping[str, Any]) -> dict[str, str]:
    """Tables and figures for docs/localizers.md, by name."""
    cost = result["cost"]
    return {
        "text pages": f"\n\n{table(result['pages'], 'pages')}\n\n",
        "text signs": f"\n\n{table(result['signs'], 'localizer')}\n\n",
        "text cost": f"{cost['seconds']:.1f} s a page (median), {cost['peak_bytes'] / 2**20:.0f} MiB at its peak "
        f"({cost['peak_method']}), {cost['weights_bytes'] / 2**20:.0f} MiB of weights",
    }


def _peak(read: Callable[[Image.Image], object], image: Image.Image) -> int | None:
    """Bytes of reading one page, once everything is loaded."""
    read(image)
    with ResidentPeak() as resident:
        read(image)
    return resident.peak


def main() -> None:
    """Measure, write and print."""
    options = _options()
    torch.set_num_threads(options.threads)
    reader = OnceReader()
    seeds, scenes = (CHOOSING, splits.TEXT_LOCALIZER) if options.choosing else (REPORTING, splits.BENCHMARK)
    on_drawn = on_pages(tqdm(pages(seeds, options.pages), "pages", options.pages, mininterval=5), TextLocalizer(reader))
    seconds = median(reader.seconds)
    adapter = load(DEFAULT_MODEL, "cpu", "float32")
    others = {"bundled localizer": localizer_for(load(DEFAULT_LOCALIZER, "cpu", "float32"))}
    localizers = {"text": TextLocalizer(), **others, "the bundled model itself": SelfLocalizer(adapter)}
    signs = on_signs(localizers, options.signs, scenes)
    largest = max((page.image for page in pages(seeds, 20)), key=lambda image: image.width * image.height)
    result = {
        **benchmark_environment(
            "python -m benchmarks.text_localizer", f"cpu, {options.threads} threads", packages=PACKAGES
        ),
        "pages": by_group(on_drawn),
        "signs": {name: figures(each) for name, each in signs.items()},
        "cost": {
            "seconds": seconds,
            "weights_bytes": reader.weights_bytes,
            "peak_bytes": _peak(TextReader().read, largest) or 0,
            "peak_method": RESIDENT_METHOD,
        },
        "questions": [asdict(each) for each in on_drawn],
    }
    if not options.choosing:
        OUT.write_text(json.dumps(result, indent=None) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(fragments(result).values()) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_localizer", description=__doc__)
    parser.add_argument("--pages", type=int, default=100, help="drawn pages")
    parser.add_argument("--signs", type=int, default=60, help="questions about signs in scenes")
    parser.add_argument("--threads", type=int, default=2, help="threads of all networks")
    parser.add_argument("--choosing", action="store_true", help="those that rules may be chosen with; writes no file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
