"""Write assets/examples: held-out scenes as one-click examples, three of every kind, the model's failures included."""

from __future__ import annotations

import json
import random
from pathlib import Path

from crop_core.bench.heldout import Item
from crop_core.tiny.questions import KINDS, all_questions
from crop_core.tiny.scenes import make_scene

FOLDER = Path("assets/examples")
FIRST_SEED = 500_000  # held out too, and apart from the scenes of the accuracy table


def choose(per_kind: int = 3) -> list[Item]:
    """Kinds take turns, a scene each; chosen by seed, not by whether the model gets them right."""
    items: list[Item] = []
    seed = FIRST_SEED
    while len(items) < per_kind * len(KINDS):
        kind = KINDS[len(items) % len(KINDS)]
        scene, rng = make_scene(seed), random.Random(f"example {seed}")
        found = all_questions(rng, scene)[kind]
        if found:
            items.append(Item(seed, scene, rng.choice(found)))
        seed += 1
    return items


def write(folder: Path = FOLDER) -> None:
    """Write the pictures and examples.json."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, item in enumerate(choose(), start=1):
        name = f"{number:02d}.png"
        item.scene.image.save(folder / name, optimize=True)
        question = item.question
        entries.append({"image": name, "question": question.text, "answer": question.answer, "kind": question.kind})
    (folder / "examples.json").write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    write()
