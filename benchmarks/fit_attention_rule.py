"""Fit which attention heads of the bundled model predict the region, and write them to its config as `crop_attention`:
`python -m benchmarks.fit_attention_rule`.

The development questions are held out, and disjoint from those of the benchmark, of the examples and of the localizer's
calibration. Three in four of them fit the weights, and the others the doubt and the confidence.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from benchmarks.calibrate_localizer import write
from crop_core.localize.calibration import Calibration, choose_doubt, covers, fit_confidence, iou
from crop_core.localize.decoding.region_decoding import decode_region_scores
from crop_core.localize.self_attention.attention_rule import (
    KEY,
    ROWS,
    AttentionRule,
    AttentionTerm,
    cell_scores,
    region_scores,
)
from crop_core.localize.self_attention.localizer import attention_features
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.models import Adapter, load
from crop_core.records.region import GRID
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

MODEL = Path("assets/models/crop-tiny")
SHRINK = 0.7  # share of the terms kept in one round
PENALTY = 3e-4  # of squared weights
REGIONS = [box for box in product(range(GRID), repeat=4) if box[0] <= box[2] and box[1] <= box[3]]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Weights:
    """values: (T,) of standardized shares. bias and whole as in `AttentionRule`."""

    values: torch.Tensor
    bias: torch.Tensor
    whole: torch.Tensor


def attention_shares(
    adapter: Adapter, items: list[Item], terms: list[AttentionTerm], side: int = GRID
) -> NDArray[np.float32]:
    """(Q, 64, T): the attention shares of every term on every item; see `region_scores.shares`."""
    fitted = []
    for item in tqdm(items, mininterval=5):
        image = item.scene.image
        prepared = adapter.prepare(image, item.question.text)
        grid = PooledGrid.of(adapter.layout(image.size), side)
        fitted.append(attention_features(adapter, prepared, adapter.encode(prepared), grid, terms).T)
    return np.stack(fitted).astype(np.float32)


def candidates(layers: int, heads: int) -> list[AttentionTerm]:
    """Every head of the first `layers` layers, with every choice of rows."""
    return [AttentionTerm(layer, head, rows, 0.0) for layer, head, rows in product(range(layers), range(heads), ROWS)]


def fit(shares: NDArray[np.float32], true: ArrayLike, terms: list[AttentionTerm], keep: int) -> AttentionRule:
    """The rule of at most `keep` terms under which the true regions are most likely.

    shares: (Q, 64, T). true: (Q, 4) inclusive [xmin, ymin, xmax, ymax]. All terms are fitted; then the smallest weights
    are removed, in rounds, and the others are fitted again.
    """
    mean, scale = shares.mean((0, 1)), shares.std((0, 1))
    standard = torch.from_numpy((shares - mean) / scale)
    index = torch.tensor([REGIONS.index(tuple(box)) for box in np.asarray(true).tolist()])
    left = torch.arange(len(terms))
    fitted = _descend(standard, index, Weights(torch.zeros(len(terms)), torch.zeros(()), torch.zeros(())), 200, 0.05)
    while len(left) > keep:
        strongest = fitted.values.abs().topk(max(keep, int(len(left) * SHRINK))).indices.sort().values
        left = left[strongest]
        fitted = _descend(standard[:, :, left], index, replace(fitted, values=fitted.values[strongest]), 80, 0.03)
    weights = fitted.values.double().numpy() / scale[left]
    chosen = [terms[number]._replace(weight=round(float(w), 4)) for number, w in zip(left, weights, strict=True)]
    bias = float(fitted.bias) + sum(term.weight * mean[number] for number, term in zip(left, chosen, strict=True))
    return AttentionRule(tuple(chosen), round(float(bias), 4), round(float(fitted.whole), 4))


def _descend(shares: torch.Tensor, true: torch.Tensor, start: Weights, steps: int, rate: float) -> Weights:
    """Penalized maximum likelihood by Adam; the distribution is that of `region_scores.region_scores`."""
    inside = torch.tensor([[_holds(box, cell) for box in REGIONS] for cell in range(GRID * GRID)], dtype=torch.float32)
    all_cells = inside.all(0)
    values, bias, whole = (each.clone().requires_grad_() for each in (start.values, start.bias, start.whole))
    optimizer = torch.optim.Adam([values, bias, whole], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        score = (shares @ values - bias) @ inside + whole * all_cells  # (Q, 1296)
        loss = torch.nn.functional.cross_entropy(score, true) + PENALTY * values.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return Weights(values.detach(), bias.detach(), whole.detach())


def _holds(box: tuple[int, ...], cell: int) -> bool:
    row, column = divmod(cell, GRID)
    return box[0] <= column <= box[2] and box[1] <= row <= box[3]


def calibrated(rule: AttentionRule, shares: NDArray[np.float32], true: ArrayLike, coverage: float) -> AttentionRule:
    """The rule with the doubt of the highest IoU that covers this share of the true regions, and its confidence.

    shares: (Q, 64, T) of the rule's own terms, on questions that it was not fitted on.
    """
    scores = np.stack([region_scores(cell_scores(each.T, rule.terms) - rule.bias, rule.whole) for each in shares])
    doubt = choose_doubt(scores, true, coverage, reader=decode_region_scores)
    readings = [decode_region_scores(each, doubt) for each in scores]
    hit = covers([reading.numbers for reading in readings], true)
    scale, shift = fit_confidence([reading.log_covered for reading in readings], hit)
    return replace(rule, calibration=Calibration(doubt, round(scale, 4), round(shift, 4)))


def figures(rule: AttentionRule, shares: NDArray[np.float32], true: ArrayLike) -> str:
    """Mean IoU and coverage of a rule as text; shares: (Q, 64, T) of its terms."""
    fitted = [rule.decode(each.T).numbers for each in shares]
    return f"mean IoU {iou(fitted, true).mean():.3f}, covers all {covers(fitted, true).mean():.3f}"


def main() -> None:
    """Collect, fit, calibrate, write."""
    options = _options()
    adapter = load(options.model)
    text = adapter.model.config.text_config
    terms = candidates(min(options.depth, text.num_hidden_layers), text.num_attention_heads)
    items = held_out(options.per_kind, splits.ATTENTION_RULE)
    shares, true = attention_shares(adapter, items, terms, options.side), np.array([item.region.grid for item in items])
    rest = np.arange(len(items)) % 4 == 3
    rule = replace(fit(shares[~rest], true[~rest], terms, options.terms), side=options.side)
    own = shares[:, :, [terms.index(term._replace(weight=0.0)) for term in rule.terms]]
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
