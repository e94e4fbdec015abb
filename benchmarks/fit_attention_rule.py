"""Fit which attention heads of the bundled model predict the region, and write them to its config as `crop_attention`:
`python -m benchmarks.fit_attention_rule`.

As `python -m crop_core localizer calibrate`, which fits any model's for the user's cache. The development questions are
held out, and disjoint from those of the benchmark, of the examples and of the localizer's calibration. Three in four of
them fit the weights, and the others the doubt and the confidence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibrate_localizer import write
from crop_core.io.row_reader import Skipped
from crop_core.localize.self_attention.attention_rule import KEY
from crop_core.models import load
from crop_core.records.region import GRID
from crop_core.train.localizer.attention_fit import calibrated, candidates, figures, fit, own_shares
from crop_core.train.localizer.attention_readings import AttentionReadings, read_attention
from crop_core.train.localizer.calibration_questions import CalibrationQuestion
from crop_core.train.world import splits
from crop_core.train.world.held_out import held_out

MODEL = Path("assets/models/crop-tiny")


def main() -> None:
    """Collect, fit, calibrate, write."""
    options = _options()
    adapter = load(options.model)
    text = adapter.model.config.text_config
    terms = candidates(min(options.depth, text.num_hidden_layers), text.num_attention_heads)
    questions = [CalibrationQuestion.of_scene(item) for item in held_out(options.per_kind, splits.ATTENTION_RULE)]
    with tempfile.TemporaryDirectory() as folder:
        readings = AttentionReadings(Path(folder) / "attention", {}, len(terms))
        shares = read_attention(adapter, questions, terms, options.side, readings, Skipped())
    true = np.array([each.grid for each in questions])
    rest = np.arange(len(questions)) % 4 == 3
    rule = replace(next(fit(shares[~rest], true[~rest], terms, [options.terms])), side=options.side)
    own = own_shares(rule, shares, terms)
    rule = calibrated(rule, own[rest], true[rest], options.coverage)
    write(rule, options.model, KEY)
    for name, part in (("fitted", ~rest), ("calibrated", rest)):
        sys.stdout.write(f"{part.sum()} questions {name}: {figures(rule, own[part], true[part])}\n")
    sys.stdout.write(f"{len(rule.terms)} terms, {rule.calibration}\n")


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_attention_rule", description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL, help="the model's folder")
    parser.add_argument("--per-kind", type=int, default=360, help="questions of each kind")
    parser.add_argument("--depth", type=int, default=7, help="number of layers to read")
    parser.add_argument("--terms", type=int, default=120, help="maximum number of heads and rows to read")
    parser.add_argument("--side", type=int, default=GRID, help="side of the pooled grid")
    parser.add_argument("--coverage", type=float, default=0.8, help="share of the needed regions to be covered")
    return parser.parse_args()


if __name__ == "__main__":
    main()
