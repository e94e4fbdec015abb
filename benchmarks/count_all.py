"""`python -m benchmarks.count_all`: how many things there are, a question about the whole image, by method.

On held-out scenes of the bundled world, and on others with as many things anywhere on a plain ground; in held-out words
and in users'. `python -m benchmarks.publish` puts the table into docs/methods.md.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from tqdm import tqdm

from crop_core.engine.session import Session
from crop_core.evaluate.report.statistics import paired
from crop_core.evaluate.report.table import markdown
from crop_core.localize import Localizer, localizer_for
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, Adapter, load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.environment import benchmark_environment
from crop_core.records.methods import BASELINE
from crop_core.train.world import splits
from crop_core.train.world.drawing import SPRITE_SETS, draw_emoji
from crop_core.train.world.phrasings import HELD_OUT
from crop_core.train.world.scenes import make_scene
from crop_core.train.world.user_phrasings import USERS
from crop_core.train.world.vocabulary import EMOJI

RESULTS = Path("benchmarks/results/count_all.json")
METHODS, BUDGETS = ("crop", "ilp", "distinct+ilp", "learned+ilp"), (192, 128, 64)
FEWEST, MOST = 4, 8  # things, as the model learned to count
PHRASINGS = (*HELD_OUT["total"], *USERS["total"])
GROUNDS = ("#ffffff", "#f0f0eb", "#c8e1f5", "#78b46e", "#faf0c8", "#3c3c46")


class Total(NamedTuple):
    """An image and the number of things in it."""

    image: Image.Image
    things: int


def of_the_world(seeds: range = splits.COUNTS) -> Iterator[Total]:
    """Held-out scenes that are asked for their number of things."""
    for seed in seeds:
        scene = make_scene(seed, held_out=True)
        if scene.setting not in ("chart", "list") and len(scene.objects) <= MOST:
            yield Total(scene.image, len(scene.objects))


def scattered(seed: int) -> Total:
    """Emoji anywhere without touching, on plain ground; the longer side of the image is 336 px."""
    rng = random.Random(f"scattered {seed}")
    image = Image.new("RGB", rng.choice(((336, 336), (336, 252), (252, 336))), rng.choice(GROUNDS))
    boxes: list[tuple[int, int, int, int]] = []
    wanted = rng.randint(FEWEST, MOST)
    while len(boxes) < wanted:
        size = rng.randint(48, 72)
        left, top = (rng.randint(0, side - size) for side in image.size)
        if all(left > right or left + size < x or top > bottom or top + size < y for x, y, right, bottom in boxes):
            thing = draw_emoji(rng.choice(list(EMOJI)), rng.choice(SPRITE_SETS), size, rng.uniform(-8, 8))
            image.paste(thing, (left, top), thing)
            boxes.append((left, top, left + size, top + size))
    return Total(image, wanted)


def ask(adapter: Adapter, localizer: Localizer, totals: Sequence[Total]) -> dict[str, list[bool]]:
    """Whether each answer is right, by run."""
    right: dict[str, list[bool]] = {}
    for number, (image, count) in enumerate(tqdm(totals, mininterval=5)):
        session = Session(adapter, image, PHRASINGS[number % len(PHRASINGS)], max_new_tokens=2)
        (region,) = session.localize(localizer).regions
        runs = {BASELINE: session.baseline}
        for method in METHODS:
            for budget in BUDGETS:
                task = session.task(CropConfig(method, Budget(mean_tokens=budget)))
                runs[f"{method} {budget}"] = session.run(task, region)
        for name, run in runs.items():
            right.setdefault(name, []).append(adapter.decode(run.generated.ids) == str(count))
        right.setdefault("whole region", []).append(region.is_whole)
    return right


def figures(right: Mapping[str, Sequence[bool]]) -> dict[str, Any]:
    """By run: the share of right answers, and by how much it is above the baseline's."""
    scenes = range(len(right[BASELINE]))
    runs = {}
    for name, own in right.items():
        more = paired([float(each) for each in own], [float(each) for each in right[BASELINE]], list(scenes))
        runs[name] = {"right": sum(own) / len(own), "more": (more.value, more.low, more.high)}
    return runs


def table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: right answers by run and part, and their share of the baseline's."""
    rows = [
        [name.replace(BASELINE, "baseline"), *(cell for part in parts.values() for cell in _cells(part["runs"], name))]
        for name in next(iter(parts.values()))["runs"]
        if name != "whole region"
    ]
    head = [cell for name, part in parts.items() for cell in (f"{name} ({part['questions']})", "kept", "difference")]
    return markdown(["run", *head], rows)


def _cells(runs: Mapping[str, Any], name: str) -> list[str]:
    own, full = runs[name], runs[BASELINE]["right"]
    if name == BASELINE:
        return [f"{full:.1%}", "", ""]
    return [f"{own['right']:.1%}", f"{own['right'] / full:.1%}", "{:+.1%} ({:+.1%} to {:+.1%})".format(*own["more"])]


def main() -> None:
    """Ask, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.count_all", description=__doc__)
    parser.add_argument("--scenes", type=int, default=200, help="of each part")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    adapter, localizer = load(DEFAULT_MODEL, "cpu"), localizer_for(load(DEFAULT_LOCALIZER, "cpu"))
    worlds = of_the_world()
    parts = {
        "world": [next(worlds) for _ in range(options.scenes)],
        "scattered": [scattered(seed) for seed in range(options.scenes)],
    }
    result = {
        name: {"questions": len(totals), "runs": figures(ask(adapter, localizer, totals))}
        for name, totals in parts.items()
    }
    environment = benchmark_environment("python -m benchmarks.count_all", "cpu, one thread")
    options.out.write_text(json.dumps({**environment, "parts": result}, indent=1) + "\n")
    sys.stdout.write(f"{table(result)}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
