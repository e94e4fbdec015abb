"""Write assets/examples: held-out scenes as one-click examples of every kind, and examples on which pruning fails.

Most are chosen by seed, regardless of the model's answer; then scenes are searched for questions that the baseline
answers correctly and CROP at 64 tokens does not. Both answers are written with each example.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from crop_core.evaluate.datasets import bundled_world
from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.text_match import Exact
from crop_core.evaluate.runner.plan import ALL, Trial
from crop_core.evaluate.runner.work import Record, Skipped, SweepError
from crop_core.evaluate.runner.worker_config import WorkerConfig
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, one_of_each_kind
from crop_core.train.world.questions import KINDS

FOLDER = Path("assets/examples")
PRUNED = Trial("crop", "64")
Replies = dict[str, Record]  # by trial


def choose(per_kind: int = 2) -> list[Item]:
    """Cycle through the kinds: the next scene that has a question of the kind."""
    seeds, items = iter(splits.EXAMPLES), []
    for kind in per_kind * KINDS:
        scenes = (one_of_each_kind(seed, "example") for seed in seeds)
        items.append(next(each[kind] for each in scenes if kind in each))
    return items


def fails(replies: Replies) -> bool:
    """Whether the baseline is right and CROP is wrong."""
    return replies[ALL.name].score == 1 and replies[PRUNED.name].score < 1


def compressed(image: Image.Image) -> bytes:
    """The image as a small file: noise and paper make a PNG five times as large."""
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    return file.getvalue()


def shown(image: Image.Image) -> Image.Image:
    """The image after JPEG compression, so that what is measured is what is shown."""
    return Image.open(io.BytesIO(compressed(image))).convert("RGB")


def shown_example(item: Item) -> Example:
    """The item with its compressed image."""
    return replace(bundled_world.example(item), image=lambda: shown(item.scene.image))


def failures(ask: Callable[[Item], Replies], count: int, scenes: int) -> list[tuple[Item, Replies]]:
    """The first `count` questions on which pruning fails, a kind and a scene each, among `scenes` scenes."""

    def search() -> Iterable[tuple[Item, Replies]]:
        kinds: set[str] = set()
        for seed in splits.FAILING_EXAMPLES[:scenes]:
            for kind, item in one_of_each_kind(seed, "example").items():
                if kind not in kinds and fails(replies := ask(item)):
                    kinds.add(kind)
                    yield item, replies
                    break

    return list(islice(search(), count))


def entry(image: str, item: Item, replies: Replies) -> dict[str, Any]:
    """An example as an entry of examples.json; its question begins with a capital, as people write."""
    question = item.question
    return {
        "image": image,
        "question": question.text[:1].upper() + question.text[1:],
        "answer": question.answer,
        "kind": question.kind,
        "pruning_fails": fails(replies),
        "measured": {trial.name: replies[trial.name].reply for trial in (ALL, PRUNED)},
    }


def write(examples: Iterable[tuple[Item, Replies]], folder: Path = FOLDER) -> None:
    """Write the images, replacing the existing ones, and examples.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("*.png"), *folder.glob("*.jpg")):
        old.unlink()
    entries = []
    for number, (item, replies) in enumerate(examples, start=1):
        name = f"{number:02d}.jpg"
        (folder / name).write_bytes(compressed(item.scene.image))
        entries.append(entry(name, item, replies))
    (folder / "examples.json").write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    """Choose, answer, search, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_examples", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=2, help="examples of each kind that are chosen by seed")
    parser.add_argument("--failures", type=int, default=4, help="number of examples to find on which pruning fails")
    parser.add_argument("--scenes", type=int, default=300, help="maximum number of scenes to search")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    examiner = WorkerConfig(
        "world", Exact(), bundled_world.MAX_NEW_TOKENS, DEFAULT_MODEL, DEFAULT_LOCALIZER, "cpu", "float32"
    ).trial_runner()

    def as_shown(item: Item) -> Replies:
        outcome = examiner(shown_example(item), (ALL, PRUNED))
        if isinstance(outcome, Skipped):
            raise SweepError(f"The example {outcome.example!r} cannot be asked: {outcome.reason}")
        return {record.trial: record for record in outcome}

    chosen = [(item, as_shown(item)) for item in choose(options.per_kind)]
    write([*chosen, *failures(as_shown, options.failures, options.scenes)], options.out)


if __name__ == "__main__":
    main()
