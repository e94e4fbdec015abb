"""A tiny random answering model with its localizer, and what the tests of the engine ask it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.learned import add_plc

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
OTHER = Image.effect_noise((90, 160), 90).convert("RGB")
QUESTION = "what is left of the dog?"
SMALL = CropConfig(budget=Budget(mean_tokens=24), max_new_tokens=4, repeats=1)
REGION = Region(2, 2, 4, 4, 200, 120)


def save_models(folder: Path) -> tuple[str, str]:
    """The folders of an answering model with a learned PLC, and of a localizer."""
    model = checkpoints.save(folder / "model", "crop", layers=6)
    add_plc(model)
    return model, checkpoints.save(folder / "locator", "squash", layers=2, seed=1)


def config(method, **changes):
    return replace(SMALL, method=method, **changes)


def hooks(engine):
    """How many forward hooks are on the decoder layers: those of transformers' own stay."""
    return sum(len(layer._forward_pre_hooks) for layer in engine.adapter.stack.layers)


def figures(comparison):
    """Everything but what is measured, to compare two runs of the same."""
    data = comparison.to_json()
    assert data.pop("made")
    for side in ("baseline", "crop"):
        varies = ("_s", "runs", "ranges", "peak_bytes", "peak_method")
        for name in [name for name in data[side]["cost"] if name.endswith(varies)]:
            del data[side]["cost"][name]
    return data
