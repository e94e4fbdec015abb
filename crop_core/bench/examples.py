"""Write assets/examples: held-out scenes as one-click examples of every kind, and some on which pruning fails.

Most are chosen by seed, whatever the model makes of them; then scenes are searched for questions that the model answers
with every visual token and not with CROP at 64. What both said is written beside each.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

from PIL import Image

from crop_core.bench.examiner import ALL, Sheet
from crop_core.bench.heldout import Item, one_of_each_kind
from crop_core.bench.workers import Setup
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL
from crop_core.tiny.questions import KINDS

FOLDER = Path("assets/examples")
FIRST_SEED = 500_000  # apart from the scenes of the accuracy table
SEARCH_SEED = 700_000
PRUNED = "crop 64"


def choose(per_kind: int = 2) -> list[Item]:
    """Kinds take turns, a scene each: the next one that has the kind."""
    seeds, items = count(FIRST_SEED), []
    for kind in per_kind * KINDS:
        found = (one_of_each_kind(seed, "example") for seed in seeds)
        items.append(next(each[kind] for each in found if kind in each))
    return items


def fails(sheet: Sheet) -> bool:
    """Right with every visual token, wrong with CROP."""
    return sheet.is_right(ALL) and not sheet.is_right(PRUNED)


def compressed(image: Image.Image) -> bytes:
    """The picture as a small file: noise and paper make a PNG five times as large."""
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    return file.getvalue()


def shown(image: Image.Image) -> Image.Image:
    """The picture as its file shows it: what is measured is what people will see."""
    return Image.open(io.BytesIO(compressed(image))).convert("RGB")


def failures(examiner: Callable[[Item], Sheet], wanted: int, scenes: int) -> list[tuple[Item, Sheet]]:
    """The first `wanted` questions on which pruning fails, a kind and a scene each, among `scenes` scenes."""

    def search() -> Iterable[tuple[Item, Sheet]]:
        kinds: set[str] = set()
        for seed in range(SEARCH_SEED, SEARCH_SEED + scenes):
            for kind, item in one_of_each_kind(seed, "example").items():
                if kind not in kinds and fails(sheet := examiner(item)):
                    kinds.add(kind)
                    yield item, sheet
                    break

    return list(islice(search(), wanted))


def entry(image: str, item: Item, sheet: Sheet) -> dict[str, Any]:
    """An example as examples.json holds it."""
    question = item.question
    return {
        "image": image,
        "question": question.text,
        "answer": question.answer,
        "kind": question.kind,
        "pruning_fails": fails(sheet),
        "measured": {name: sheet.replies[name].text for name in (ALL, PRUNED)},
    }


def write(examples: Iterable[tuple[Item, Sheet]], folder: Path = FOLDER) -> None:
    """The pictures, in place of those that were there, and examples.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.png"), *folder.glob("*.jpg")):
        old.unlink()
    entries = []
    for number, (item, sheet) in enumerate(examples, start=1):
        name = f"{number:02d}.jpg"
        (folder / name).write_bytes(compressed(item.scene.image))
        entries.append(entry(name, item, sheet))
    (folder / "examples.json").write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    """Choose, answer, search, write."""
    parser = argparse.ArgumentParser(prog="python -m crop_core.bench.examples", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=2, help="examples of each kind that are chosen by seed")
    parser.add_argument("--failures", type=int, default=4, help="examples on which pruning fails that are searched for")
    parser.add_argument("--scenes", type=int, default=300, help="scenes to search at most")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    examiner = Setup(DEFAULT_MODEL, DEFAULT_LOCALIZER, ("crop",), (64.0,)).examiner()

    def as_shown(item: Item) -> Sheet:
        return examiner(replace(item, scene=replace(item.scene, image=shown(item.scene.image))))

    chosen = [(item, as_shown(item)) for item in choose(options.per_kind)]
    write([*chosen, *failures(as_shown, options.failures, options.scenes)], options.out)


if __name__ == "__main__":
    main()
