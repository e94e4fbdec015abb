"""Tiny random stand-ins of published checkpoints: their JSON files, templates and token ids, other weights.

`checkpoints/*.json` holds what the hub's repositories say, real widths and depths included; `shrink` makes these small,
`tokenizer` and `weights` write files in the published formats. `from_memory` names what nobody here could look up.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.cache import copy_of
from tests.support.published import tokenizer, weights
from tests.support.published.files import CHECKPOINTS, Checkpoint
from tests.support.published.shrink import Sizes, shrunk

__all__ = ["CHECKPOINTS", "Checkpoint", "Sizes", "build"]


def build(name: str, folder: Path, sizes: Sizes | None = None) -> None:
    """The stand-in of a checkpoint in `folder`. sizes: its depths, else those of `Sizes.of`."""
    checkpoint = CHECKPOINTS[name]
    sizes = sizes or Sizes.of(checkpoint)

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = shrunk(checkpoint, sizes)
        for file, content in {**checkpoint.files, "config.json": config}.items():
            (folder / file).write_text(json.dumps(content, indent=2))
        _write_template(checkpoint, folder)
        tokenizer.write(checkpoint, folder)
        weights.write(checkpoint, config, folder)

    copy_of(folder, ("published", repr(checkpoint), sizes), write)


def _write_template(checkpoint: Checkpoint, folder: Path) -> None:
    """Where the repository has it: beside the tokenizer's options, in a JSON file of its own, or as it is."""
    if not checkpoint.template:
        return
    if checkpoint.template_file.endswith(".json"):
        file = folder / checkpoint.template_file
        data = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**data, "chat_template": checkpoint.template}))
    else:
        (folder / checkpoint.template_file).write_text(checkpoint.template)
