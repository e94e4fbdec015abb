"""Calibration of a localizer: from its probabilities to region and confidence, and fitting on known regions.

Pure numpy. A checkpoint stores it in its config.json, under the key "crop_region": {"doubt", "scale", "shift"}, beside
its answer format (answer_formats.py). Source of the confidence map: Platt, Probabilistic Outputs for Support Vector
Machines, 1999.
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
FORMAT = "format"  # key in it; see answer_formats.py
DOUBTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
_EPSILON = 1e-12  # minimum distance of a probability from 0 and 1, for a finite logit


@dataclass(frozen=True)
class Calibration:
    """doubt: as in `decode_region`, None for the most likely numbers as in the paper. scale, shift: the confidence is
    sigmoid(scale * logit(p) + shift) of the localizer's probability p; 1 and 0 (uncalibrated) leave p unchanged.
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
        """Read from the config of checkpoint `name`; uncalibrated without the key, ModelError for invalid values."""
        stored = getattr(config, KEY, None)
        try:
            values = {} if stored is None else {key: value for key, value in dict(stored).items() if key != FORMAT}
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
        """Whether the confidence has been fitted."""
        return (self.scale, self.shift) != (1.0, 0.0)

    def confidence(self, log_covered: float) -> float:
        """The probability in [0, 1] that the region covers the true one, from `DecodedRegion.log_covered`."""
        if not self.calibrated:
            return math.exp(log_covered)
        return float(_sigmoid(self.scale * _logit(log_covered) + self.shift))


def fit_confidence(log_covered: ArrayLike, covered: ArrayLike, penalty: float = 1.0) -> tuple[float, float]:
    """Scale and shift of the Platt map by penalised maximum likelihood (Newton's method).

    log_covered: (Q,) natural logs of the localizer's probability. covered: (Q,) bool, whether the region covered the
    true one. penalty: of squared distance from (1, 0), the uncalibrated map, in units of questions, so that a set
    without a miss has a finite solution. Raises ValueError for empty arrays and for different lengths.
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
            size /= 2  # a full step may overshoot where the curve is flat
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
    """The doubt with the highest mean IoU among those that cover at least a share `coverage` of regions; if there is
    none, the one that covers most.

    probabilities: (Q, 4, 8), or the input of `reader`. regions: (Q, 4) inclusive true numbers [xmin, ymin, xmax,
    ymax].
    """
    scored = []
    for doubt in doubts:
        predicted = np.array([reader(each, doubt).numbers for each in probabilities])
        share = float(covers(predicted, regions).mean())
        scored.append((min(share, coverage), float(iou(predicted, regions).mean()), doubt))
    return max(scored, key=lambda each: each[:2])[2]


def fit(probabilities: Floats, regions: ArrayLike, coverage: float) -> Calibration:
    """The doubt of `choose_doubt` and a confidence map fitted for it.

    probabilities: (Q, 4, 8). regions: (Q, 4) inclusive true numbers. coverage: the share of regions to be covered.
    """
    doubt = choose_doubt(probabilities, regions, coverage)
    decoded = [decode_region(each, doubt) for each in probabilities]
    hit = covers([each.numbers for each in decoded], regions)
    scale, shift = fit_confidence([each.log_covered for each in decoded], hit)
    return Calibration(doubt, round(scale, 4), round(shift, 4))


def covers(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.bool_]:
    """(Q,) bool from inclusive boxes (Q, 4): whether the predicted one covers the true one."""
    a, b = np.asarray(predicted), np.asarray(true)
    return np.asarray((a[:, :2] <= b[:, :2]).all(1) & (a[:, 2:] >= b[:, 2:]).all(1))


def iou(predicted: ArrayLike, true: ArrayLike) -> Floats:
    """(Q,) intersection over union of inclusive boxes (Q, 4), in grid cells."""
    a, b = np.asarray(predicted), np.asarray(true)
    shared = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]) + 1, 0).prod(1)
    first, second = ((box[:, 2:] - box[:, :2] + 1).prod(1) for box in (a, b))
    return np.asarray(shared / (first + second - shared))


def _logit(log_probability: Any) -> Any:
    """log(p / (1 - p)) from log(p), kept finite."""
    log_p = np.clip(log_probability, math.log(_EPSILON), math.log1p(-_EPSILON))
    return log_p - np.log(-np.expm1(log_p))


def _sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -np.asarray(x, float)))
