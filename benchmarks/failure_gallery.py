"""Failure gallery of the independent world: docs/failures.md and its images, from the records of
`python -m benchmarks.bundled --only independent`; `python -m benchmarks.publish` writes it.

For each kind of question: how many right answers of the baseline each method loses, and examples.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from crop_core.evaluate.datasets.independent.questions import questions_of
from crop_core.evaluate.datasets.independent.scenes import make_scene
from crop_core.evaluate.datasets.independent_world import Item
from crop_core.evaluate.report.labels import run_label
from crop_core.evaluate.report.table import markdown
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.records.region import Region

if TYPE_CHECKING:
    import pandas as pd

PAGE, IMAGES = Path("docs/failures.md"), Path("docs/failures")
SHOWN = tuple(Trial(method, "64") for method in ("crop", "random", "divprune", "fastv", "visionzip"))
PER_KIND, WIDTH, QUALITY = 2, 240, 50  # examples of a kind; pixels of an image's longer side, WebP quality
NEEDED, PREDICTED = (20, 150, 60), (230, 80, 20)
_INTRODUCTION = """# Failure gallery

Questions of the [independent world](benchmark.md#the-independent-world) that the bundled model answers right with
every visual token and wrong once CROP has pruned to a mean of 64 tokens per layer: the first two of each kind,
unchosen. Where CROP lost less than two, those follow that other methods lost. Green: the smallest box around all that
the question needs. Orange: the predicted region, which CROP alone uses; where it leaves out a part of the green box,
the region fails. `python -m benchmarks.publish` makes this page anew from `benchmarks/results/independent/`.

## What is lost, by kind

Share of the baseline's right answers that a method at 64 tokens gets wrong, and of its wrong answers that become right.

"""


def page(records: pd.DataFrame) -> str:
    """The page as Markdown."""
    sections = [_section(str(kind), rows) for kind, rows in records.groupby("kind", sort=False)]
    return "\n".join([_INTRODUCTION + _table(records), *sections])


def write(records: pd.DataFrame, page_file: Path = PAGE, images: Path = IMAGES) -> None:
    """Write the page and its images; those of before are removed."""
    images.mkdir(exist_ok=True)
    for old in images.glob("*.webp"):
        old.unlink()
    for _, rows in records.groupby("kind", sort=False):
        for example in _lost(rows):
            row = _replies(rows, SHOWN[0]).loc[example]
            x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
            region = Region(x0, y0, x1, y1, *_item(example).scene.size)
            _picture(_item(example), region).save(images / _file(example), quality=QUALITY, method=6)
    page_file.write_text(page(records), encoding="utf-8")


def _replies(rows: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """The rows of a trial by example; none where it was not run."""
    return rows[rows["trial"] == trial.name].set_index("example")


def _lost(rows: pd.DataFrame) -> list[str]:
    """The first questions that the baseline gets right and CROP wrong; where these are few, other methods."""
    right = _replies(rows, ALL)["score"] == 1
    after = [_replies(rows, trial)["score"].reindex(right.index) == 0 for trial in SHOWN]
    return list(dict.fromkeys(str(example) for wrong in after for example in right.index[right & wrong]))[:PER_KIND]


def _table(records: pd.DataFrame) -> str:
    """What each method loses and gains, by kind."""
    trials, lines = [trial for trial in SHOWN if len(_replies(records, trial))], []
    for kind, rows in records.groupby("kind", sort=False):
        right = _replies(rows, ALL)["score"] == 1
        after = [_replies(rows, trial)["score"] == 1 for trial in trials]
        cells = [f"{_share(~each[right])}, {_share(each[~right])}" for each in after]
        lines.append([str(kind), f"{right.sum()} of {len(right)}", *cells])
    return markdown(["kind", "baseline right", *map(run_label, trials)], lines) + "\n"


def _share(values: pd.Series) -> str:
    """The share that is true, in percent."""
    return f"{values.mean():.0%}" if len(values) else "–"


def _section(kind: str, rows: pd.DataFrame) -> str:
    """The examples of a kind."""
    lines = [f"## {kind}\n"]
    for example in _lost(rows):
        text, gold = _item(example).question.text, _item(example).question.answer
        trials = [trial for trial in SHOWN if len(_replies(rows, trial))]
        replies = [f"{run_label(trial)} “{_replies(rows, trial).loc[example, 'reply']}”" for trial in trials]
        lines += [f"![{text}]({IMAGES.name}/{_file(example)})\n", f"{text} **{gold}**; {', '.join(replies)}.\n"]
    return "\n".join(lines if len(lines) > 1 else [*lines, "No method lost any.\n"])


def _file(example: str) -> str:
    """The name of an example's image."""
    return f"{example.replace(' ', '-')}.webp"


def _item(example: str) -> Item:
    """The item of a recorded example."""
    seed, kind = example.split()
    scene = make_scene(int(seed))
    return Item(scene, questions_of(scene)[kind])


def _picture(item: Item, region: Region) -> Image.Image:
    """The scene with both boxes, small."""
    image = item.scene.image()
    scale, pen = WIDTH / max(image.size), ImageDraw.Draw(image)
    line = round(2 / scale)
    pen.rectangle(region.box, outline=PREDICTED, width=line)
    pen.rectangle(item.question.box(item.scene), outline=NEEDED, width=line)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
