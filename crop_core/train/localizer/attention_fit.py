"""Fit which attention heads of a model predict the region: the weights of their attention, its doubt and confidence.

OURS. Under a rule a region is as likely as exp(sum of its cells' scores); the weights are those under which the true
regions are most likely. Knows nothing of questions, images and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from crop_core.localize.calibration import Calibration, choose_doubt, covers, fit_confidence, iou
from crop_core.localize.decoding.region_decoding import decode_region_scores
from crop_core.localize.self_attention.attention_rule import ROWS, AttentionRule, AttentionTerm
from crop_core.records.region import GRID

SHRINK = 0.7  # share of the terms kept in one round
PENALTY = 3e-4  # of squared weights
BOXES = [box for box in product(range(GRID), repeat=4) if box[0] <= box[2] and box[1] <= box[3]]  # x0, y0, x1, y1

Shares = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """values: (T,) of standardized shares. bias and whole as in `AttentionRule`."""

    values: torch.Tensor
    bias: torch.Tensor
    whole: torch.Tensor


@dataclass(frozen=True)
class RuleFigures:
    """Means over `questions`. iou: with the true regions. coverage: share of the regions that contain all of them.
    area: share of the grid's cells in a region.
    """

    questions: int
    iou: float
    coverage: float
    area: float

    @classmethod
    def of(cls, regions: Sequence[Sequence[int]], true: ArrayLike) -> RuleFigures:
        """Of inclusive boxes (Q, 4), at least one."""
        found = np.asarray(regions)
        area = (found[:, 2:] - found[:, :2] + 1).prod(1) / GRID**2
        means = (float(each.mean()) for each in (iou(found, true), covers(found, true), area))
        return cls(len(found), *means)


def candidates(layers: int, heads: int) -> list[AttentionTerm]:
    """Every head of the first `layers` layers, with every choice of rows."""
    return [AttentionTerm(layer, head, rows, 0.0) for layer, head, rows in product(range(layers), range(heads), ROWS)]


def fit(
    shares: Shares, true: ArrayLike, terms: Sequence[AttentionTerm], sizes: Sequence[int]
) -> Iterator[AttentionRule]:
    """For each size, in falling order, the rule of at most so many terms under which the true regions are most likely.

    shares: (Q, 64, T), as `attention_rule.shares` with the terms last. true: (Q, 4) inclusive [xmin, ymin, xmax, ymax].
    All terms are fitted; then the smallest weights are removed, in rounds, and the others are fitted again.
    """
    mean, scale = shares.mean((0, 1)), shares.std((0, 1)) + 1e-6  # a head may attend to all cells alike
    standard = torch.from_numpy((shares - mean) / scale)
    index = torch.tensor([BOXES.index(tuple(box)) for box in np.asarray(true).tolist()])
    left = np.arange(len(terms))
    fitted = _descend(standard, index, Weights(torch.zeros(len(terms)), torch.zeros(()), torch.zeros(())), 200, 0.05)
    for keep in sizes:
        while len(left) > keep:
            count = max(keep, int(len(left) * SHRINK))
            strongest = fitted.values.abs().topk(count).indices.sort().values
            left = left[strongest.numpy()]
            fitted = _descend(standard[:, :, left], index, replace(fitted, values=fitted.values[strongest]), 80, 0.03)
        yield _rule(fitted, [terms[number] for number in left.tolist()], mean[left], scale[left])


def _rule(fitted: Weights, terms: Sequence[AttentionTerm], mean: Shares, scale: Shares) -> AttentionRule:
    """The rule of standardized weights."""
    weights = fitted.values.double().numpy() / scale
    chosen = [term._replace(weight=round(float(weight), 4)) for term, weight in zip(terms, weights, strict=True)]
    bias = float(fitted.bias) + sum(term.weight * each for term, each in zip(chosen, mean, strict=True))
    return AttentionRule(tuple(chosen), round(float(bias), 4), round(float(fitted.whole), 4))


def _descend(shares: torch.Tensor, true: torch.Tensor, start: Weights, steps: int, rate: float) -> Weights:
    """Penalized maximum likelihood by Adam; the distribution is that of `attention_rule.region_scores`."""
    inside = torch.tensor([[_holds(box, cell) for box in BOXES] for cell in range(GRID * GRID)], dtype=torch.float32)
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


def calibrated(rule: AttentionRule, shares: Shares, true: ArrayLike, coverage: float) -> AttentionRule:
    """The rule with the doubt of the highest IoU that covers this share of the true regions, and its confidence.

    shares: (Q, 64, T) of the rule's own terms, on questions that it was not fitted on.
    """
    scores = np.stack([rule.probabilities(each.T) for each in shares])
    doubt = choose_doubt(scores, true, coverage, reader=decode_region_scores)
    readings = [decode_region_scores(each, doubt) for each in scores]
    hit = covers([reading.numbers for reading in readings], true)
    scale, shift = fit_confidence([reading.log_covered for reading in readings], hit)
    return replace(rule, calibration=Calibration(doubt, round(scale, 4), round(shift, 4)))


def own_shares(rule: AttentionRule, shares: Shares, terms: Sequence[AttentionTerm]) -> Shares:
    """(Q, 64, T') of the rule's terms, out of those of all `terms`; ValueError where one is not among them."""
    return shares[:, :, [terms.index(term._replace(weight=0.0)) for term in rule.terms]]


def figures(rule: AttentionRule, shares: Shares, true: ArrayLike) -> RuleFigures:
    """Figures of a rule; shares: (Q, 64, T) of its terms."""
    return RuleFigures.of([rule.decode(each.T).numbers for each in shares], true)
