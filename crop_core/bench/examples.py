"""Write assets/examples: held-out scenes as one-click examples, two of every kind, the model's failures included."""

from __future__ import annotations

import json
from pathlib import Path

from crop_core.bench.heldout import Item, held_out
from crop_core.tiny.questions import KINDS

FOLDER = Path("assets/examples")
FIRST_SEED = 500_000  # held out too, and apart from the scenes of the accuracy table


def choose(per_kind: int = 3) -> list[Item]:
    """The first items of every kind, kinds taking turns; chosen by seed, not by whether the model gets them right."""
    items = held_out(per_kind, FIRST_SEED)
    turns = {kind: [item for item in items if item.question.kind == kind] for kind in KINDS}
    return [turns[kind][turn] for turn in range(per_kind) for kind in KINDS]


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
