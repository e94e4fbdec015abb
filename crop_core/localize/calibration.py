"""How numbers and confidence follow from a locator's probabilities, and fitting that on questions with known regions.

Pure numpy. A checkpoint carries its fit in its config.json, under the key "crop_region": {"doubt", "scale", "shift"},
beside the format of its answers (formats.py).
Source of the map: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crop_core.localize.decoding.region_decoding import DecodedRegion, Floats, decode_region
from crop_core.models.adapter import ModelError

KEY = "crop_region"
FORMAT = "format"  # in it; see formats.py
DOUBTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
_NEAREST = 1e-12  # a probability is at least this far from 0 and 1, where its logit has no end


@dataclass(frozen=True)
class Calibration:
    """doubt: as in `reading.read`, None for the paper's most likely numbers. scale, shift: the confidence is
    sigmoid(scale * logit(p) + shift) of the locator's own probability p; 1 and 0 leave p as it is, uncalibrated.
    """

    doubt: float | None = None
    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        if self.doubt is not None and not 0 <= self.doubt <= 0.5:
            raise ValueError(f"doubt {self.doubt} is not between 0 and 0.5")
        if not (math.isfinite(self.scale) and math.isfinite(self.shift) and self.scale > 0):
            raise ValueError(f"scale {self.scale} and shift {self.shift} are not finite, with a scale above 0")

    @classmethod
    def of(cls, config: Any, name: str) -> Calibration:
        """What the config of the checkpoint `name` says; uncalibrated without the key, ModelError for one that is not
        understood.
        """
        told = getattr(config, KEY, None)
        try:
            values = {} if told is None else {key: value for key, value in dict(told).items() if key != FORMAT}
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"The {KEY} in the config of {name} cannot be read ({error}); it needs doubt, scale and shift."
            ) from error

    def to_json(self) -> dict[str, float | None]:
        """The value of KEY in a checkpoint's config.json."""
        return asdict(self)

    @property
    def calibrated(self) -> bool:
        """Has the confidence been fitted?"""
        return (self.scale, self.shift) != (1.0, 0.0)

    def confidence(self, log_covered: float) -> float:
        """The probability in [0, 1] that the region covers all that is needed, from `Reading.log_covered`."""
        if not self.calibrated:
            return math.exp(log_covered)
        return float(_sigmoid(self.scale * _logit(log_covered) + self.shift))


def fit_confidence(log_covered: ArrayLike, covered: ArrayLike, penalty: float = 1.0) -> tuple[float, float]:
    """Scale and shift of the Platt map by penalised maximum likelihood (Newton's method).

    log_covered: (Q,) natural logs of the locator's own probability. covered: (Q,) bool, whether the region did cover.
    penalty: of squared distance from (1, 0), the uncalibrated map, in questions' worth of evidence, so that a set
    without a miss has a finite answer. Raises ValueError for arrays that are empty or do not fit together.
    """
    x, hit = _logit(np.asarray(log_covered, float)), np.asarray(covered, bool)
    if x.ndim != 1 or x.shape != hit.shape or not len(x):
        raise ValueError(f"{x.shape} probabilities and {hit.shape} outcomes; give as many of each, at least one.")
    design = np.stack([x, np.ones_like(x)], 1)  # (Q, 2)
    start = np.array([1.0, 0.0])
    weights, loss = start, _loss(design, hit, start, start, penalty)
    for _ in range(100):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - hit) + penalty * (weights - start)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + penalty * np.eye(2)
        step, size = np.linalg.solve(curvature, gradient), 1.0
        while (new := _loss(design, hit, weights - size * step, start, penalty)) > loss and size > 1e-6:
            size /= 2  # a whole step may go too far where the curve is flat
        weights, loss = weights - size * step, new
        if np.abs(size * step).max() < 1e-9:
            break
    return max(float(weights[0]), 1e-3), float(weights[1])


def _loss(design: Floats, hit: NDArray[np.bool_], weights: Floats, start: Floats, penalty: float) -> float:
    margin = np.where(hit, 1.0, -1.0) * (design @ weights)
    return float(np.logaddexp(0, -margin).sum() + penalty / 2 * ((weights - start) ** 2).sum())


def choose_doubt(
    probabilities: Floats,
    regions: ArrayLike,
    coverage: float,
    doubts: tuple[float | None, ...] = (None, *DOUBTS),
    reader: Callable[[Floats, float | None], DecodedRegion] = decode_region,
) -> float | None:
    """The doubt with the highest mean IoU of those whose share of covered regions is at least `coverage`; where none
    is, the one that covers most.

    probabilities: (Q, 4, 8), or what else the `reader` reads. regions: (Q, 4) inclusive true numbers [xmin, ymin, xmax,
    ymax].
    """
    scored = []
    for doubt in doubts:
        found = np.array([reader(each, doubt).numbers for each in probabilities])
        share = float(covers(found, regions).mean())
        scored.append((min(share, coverage), float(iou(found, regions).mean()), doubt))
    return max(scored, key=lambda each: each[:2])[2]


def fit(probabilities: Floats, regions: ArrayLike, coverage: float) -> Calibration:
    """The doubt of `choose_doubt`, and the confidence to go with it.

    probabilities: (Q, 4, 8). regions: (Q, 4) inclusive true numbers. coverage: the share of regions to be covered.
    """
    doubt = choose_doubt(probabilities, regions, coverage)
    readings = [decode_region(each, doubt) for each in probabilities]
    hit = covers([reading.numbers for reading in readings], regions)
    scale, shift = fit_confidence([reading.log_covered for reading in readings], hit)
    return Calibration(doubt, round(scale, 4), round(shift, 4))


def covers(found: ArrayLike, true: ArrayLike) -> NDArray[np.bool_]:
    """(Q,) bool from inclusive boxes (Q, 4): does the found one hold all of the true one?"""
    a, b = np.asarray(found), np.asarray(true)
    return np.asarray((a[:, :2] <= b[:, :2]).all(1) & (a[:, 2:] >= b[:, 2:]).all(1))


def iou(found: ArrayLike, true: ArrayLike) -> Floats:
    """(Q,) intersection over union of inclusive boxes (Q, 4), in grid cells."""
    a, b = np.asarray(found), np.asarray(true)
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]) + 1, 0).prod(1)
    first, second = ((box[:, 2:] - box[:, :2] + 1).prod(1) for box in (a, b))
    return np.asarray(shared / (first + second - shared))


def _logit(log_probability: Any) -> Any:
    """log(p / (1 - p)) from log(p), kept finite."""
    log_p = np.clip(log_probability, math.log(_NEAREST), math.log1p(-_NEAREST))
    return log_p - np.log(-np.expm1(log_p))


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -np.asarray(x, float)))
