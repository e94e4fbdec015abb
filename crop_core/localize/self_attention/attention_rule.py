"""Attention rule of a self-localizer: attention heads to read, and their map to a region; fitted or uncalibrated.

A fitted rule is stored in the checkpoint's config.json, under the key "crop_attention": {"terms": {"LAYER.HEAD ROWS":
weight, ...}, "bias", "whole", "side", "doubt", "scale", "shift"}. OURS, in pure numpy: the score of a cell is a
weighted sum of log attentions, and p(region) ~ exp(sum of the scores of its cells, and `whole` for all 64), so that the
bias is the price of a cell. The difference of two rows' log attentions, that of the question and that of a token which
has not read it, removes what attracts attention regardless of the question; after the relative attention of Zhang et
al., MLLMs Know Where to Look, ICLR 2025, arXiv 2502.17422, which divides by that of a general question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crop_core.localize.calibration import Calibration
from crop_core.localize.decoding.region_decoding import DecodedRegion, decode_region_scores
from crop_core.models.adapter import ModelError
from crop_core.records.region import GRID

KEY = "crop_attention"
PLAIN_BIAS, PLAIN_DOUBT = -0.5, 0.2  # see `AttentionRule.plain`
MAX_SIDE = 64  # cells per side of the pooled grid
_FROM_END = {"last": 1, "last-1": 2, "last-2": 3}
KEYS = {"terms", "bias", "whole", "side", "doubt", "scale", "shift"}
ROWS = ("first", "mean", "max", *_FROM_END)
_EPSILON = 1e-12  # added to attention for a finite log

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AttentionRule:
    """terms and bias: of a cell's score. whole: bonus of the whole image.

    side: the pooled grid has side x side cells. calibration: from probabilities of regions to region and confidence.
    Raises ValueError for invalid values.
    """

    terms: tuple[AttentionTerm, ...]
    bias: float = 0.0
    whole: float = 0.0
    side: int = GRID
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        if not self.terms:
            raise ValueError("it has no terms")
        for term in self.terms:
            if term.rows not in ROWS or min(term.layer, term.head) < 0 or not math.isfinite(term.weight):
                raise ValueError(f"the term {list(term)} is not a layer, a head, one of {', '.join(ROWS)} and a weight")
        if not (math.isfinite(self.bias) and math.isfinite(self.whole)):
            raise ValueError(f"bias {self.bias} and whole {self.whole} are not finite")
        if type(self.side) is not int or not 1 <= self.side <= MAX_SIDE:
            raise ValueError(f"side {self.side!r} is not a whole number from 1 to {MAX_SIDE}")

    @classmethod
    def plain(cls, layers: int, heads: int) -> AttentionRule:
        """The uncalibrated rule: all heads of the second quarter of the layers, with equal weights. Half the log
        attention of the last text token and half that of all of them, minus that of the first token after the image.

        OURS; bias and doubt were chosen on the bundled model, whose fitted rule is far better.
        """
        middle = range(layers // 4, max(layers // 2, layers // 4 + 1))
        share = 1 / (len(middle) * heads)
        signs = {"last": share / 2, "mean": share / 2, "first": -share}
        terms = [
            AttentionTerm(layer, head, *each) for layer in middle for head in range(heads) for each in signs.items()
        ]
        return cls(tuple(terms), PLAIN_BIAS, calibration=Calibration(PLAIN_DOUBT))

    @classmethod
    def of(cls, config: Any, name: str) -> AttentionRule:
        """Read from the config of the checkpoint `name`; the plain rule without the key.

        Raises ModelError for an invalid rule, and for layers or heads that the model does not have.
        """
        stored = getattr(config, KEY, None)
        if stored is None:
            return cls.plain(config.text_config.num_hidden_layers, config.text_config.num_attention_heads)
        return cls.read(stored, config, f"The {KEY} in the config of {name}")

    @classmethod
    def read(cls, stored: Any, config: Any, what: str) -> AttentionRule:
        """The rule of a JSON value for the model of a config; ModelError as in `of`. what: begins the sentence."""
        layers, heads = config.text_config.num_hidden_layers, config.text_config.num_attention_heads
        try:
            rule = cls.from_json(stored)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{what} cannot be read ({error}); it needs terms such as "
                '"4.2 last": 0.5, and may have bias, whole, side, doubt, scale and shift.'
            ) from error
        if any(term.layer >= layers or term.head >= heads for term in rule.terms):
            raise ModelError(
                f"{what} reads what the model does not have; it has layers 0 to {layers - 1} of heads 0 to {heads - 1}."
            )
        return rule

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> AttentionRule:
        """Inverse of `to_json`; TypeError, ValueError, KeyError or AttributeError for an invalid rule."""
        data = dict(data)
        if unknown := sorted(set(data) - KEYS):
            raise ValueError(f"it has {', '.join(map(repr, unknown))}")
        terms = tuple(_term(name, weight) for name, weight in data.pop("terms").items())
        calibration = Calibration(**{key: data.pop(key) for key in ("doubt", "scale", "shift") if key in data})
        return cls(terms, calibration=calibration, **data)

    def to_json(self) -> dict[str, Any]:
        """The value of KEY in a checkpoint's config.json."""
        terms = {f"{term.layer}.{term.head} {term.rows}": term.weight for term in self.terms}
        own = {"terms": terms, "bias": self.bias, "whole": self.whole, "side": self.side}
        return own | self.calibration.to_json()

    @property
    def layers(self) -> list[int]:
        """The decoder layers to read, rising."""
        return sorted({term.layer for term in self.terms})

    def decode(self, shares: NDArray[np.floating]) -> DecodedRegion:
        """The region of the T terms' attention, (T, 64) as from `shares`."""
        return decode_region_scores(self.probabilities(shares), self.calibration.doubt)

    def probabilities(self, shares: NDArray[np.floating]) -> Floats:
        """(8, 8, 8, 8): the probability of every region, as `region_scores`."""
        return region_scores(cell_scores(shares, self.terms) - self.bias, self.whole)

    def confidence(self, decoded: DecodedRegion) -> float | None:
        """The probability in [0, 1] that the region covers the true one; None for a rule without calibration."""
        return self.calibration.confidence(decoded.log_covered) if self.calibration.calibrated else None


def _term(name: str, weight: float) -> AttentionTerm:
    place, rows = name.split()
    layer, head = place.split(".")
    return AttentionTerm(int(layer), int(head), rows, float(weight))


class AttentionTerm(NamedTuple):
    """One term of a cell's score: the attention of a head in a layer, both 0-based, and its weight.

    rows: of the text tokens after the image the "first", which in most prompts precedes the question, the "last" and
    the two before it, the "mean" of all of them, or in each cell the "max". With fewer tokens: the first of them.
    """

    layer: int
    head: int
    rows: str
    weight: float


def shares(
    attention: Mapping[int, NDArray[np.floating]], cells: Floats, terms: Sequence[AttentionTerm]
) -> NDArray[np.float32]:
    """(T, 64) by term and cell, row-major: log of the attention relative to its mean over the image.

    attention: by layer (H, R, M), of R text tokens to M visual tokens. cells: (64, M), as in `PooledGrid`.
    """
    result = np.empty((len(terms), GRID * GRID), dtype=np.float32)
    groups: dict[tuple[int, str], list[int]] = {}
    for number, term in enumerate(terms):
        groups.setdefault((term.layer, term.rows), []).append(number)
    for (layer, rows), members in groups.items():
        cell_attention: Floats = _rows(attention[layer][[terms[number].head for number in members]], rows, cells)
        result[members] = np.log(cell_attention / cell_attention.mean(1, keepdims=True))
    return result


def cell_scores(shares: NDArray[np.floating], terms: Sequence[AttentionTerm]) -> Floats:
    """(8, 8) by row and column: weighted sum of the terms' `shares` (T, 64)."""
    weights = np.array([term.weight for term in terms])
    return np.asarray(weights @ shares.astype(float)).reshape(GRID, GRID)


def _rows(attention: NDArray[np.floating], rows: str, cells: Floats) -> Floats:
    """Attention (T, R, M) of the chosen text rows to the cells, (T, 64)."""
    if rows == "first" or rows in _FROM_END:
        count = attention.shape[1]
        return attention[:, -min(_FROM_END.get(rows, count), count)] @ cells.T + _EPSILON
    spread = attention @ cells.T  # (T, R, 64)
    return (spread.mean(1) if rows == "mean" else spread.max(1)) + _EPSILON


def region_scores(scores: Floats, whole: float = 0.0) -> Floats:
    """(8, 8, 8, 8): the probability of every region, by xmin, ymin, xmax and ymax; 0 for invalid ones.

    scores: (8, 8), by row and column. whole: bonus of all 64 cells together.
    """
    sums = np.pad(scores.cumsum(0).cumsum(1), (1, 0)).T  # (9, 9) by x and y: integral image
    first, last = np.arange(GRID), np.arange(1, GRID + 1)
    x0, y0, x1, y1 = np.ix_(first, first, last, last)
    score = sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0]
    score[0, 0, -1, -1] += whole
    score[(x0 >= x1) | (y0 >= y1)] = -np.inf
    weights = np.exp(score - score.max())
    return np.asarray(weights / weights.sum())
