"""Fit doubt and confidence of the bundled localizer into its config: `python -m benchmarks.calibrate_localizer`.

The questions are held out, and disjoint from those of the benchmark and of the examples.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from crop_core.localize import GridVlmLocalizer, calibration
from crop_core.localize.calibration import KEY, Calibration
from crop_core.localize.self_attention.attention_rule import AttentionRule
from crop_core.models import load
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

LOCALIZER = Path("assets/models/crop-tiny-locator")


def fit(localizer: GridVlmLocalizer, items: list[Item], coverage: float) -> Calibration:
    """The doubt of the highest IoU that covers this share of the items' regions, and its confidence."""
    probabilities = np.stack(
        [localizer.probabilities(item.scene.image, item.question.text) for item in tqdm(items, mininterval=5)]
    )
    regions = np.array([item.region.grid for item in items])
    return calibration.fit(probabilities, regions, coverage)


def write(fitted: Calibration | AttentionRule, folder: Path, key: str = KEY) -> None:
    """Write the fitted calibration or rule into the checkpoint's config.json."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    config[key] = config.get(key, {}) | fitted.to_json()  # other keys, such as the format, stay
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrate_localizer", description=__doc__)
    parser.add_argument("--localizer", type=Path, default=LOCALIZER, help="the localizer's folder")
    parser.add_argument("--per-kind", type=int, default=60, help="questions of each kind")
    parser.add_argument("--coverage", type=float, default=0.97, help="share of the needed regions to be covered")
    options = parser.parse_args()
    items = held_out(options.per_kind, splits.CALIBRATION)
    fitted = fit(GridVlmLocalizer(load(options.localizer)), items, options.coverage)
    write(fitted, options.localizer)
    sys.stdout.write(f"{len(items)} questions: {fitted}\n")


if __name__ == "__main__":
    main()
