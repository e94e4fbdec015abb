"""Which attention a self-localizer reads, and how it becomes a region: a checkpoint's own rule, or the plain one.

A checkpoint carries what was measured on it in its config.json, under the key "crop_attention": {"terms":
{"LAYER.HEAD ROWS": weight, ...}, "bias", "whole", "side", "doubt", "scale", "shift"}. Knows nothing of torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crop_core.localize.calibration import Calibration
from crop_core.localize.decoding.region_decoding import DecodedRegion, decode_region_scores
from crop_core.localize.self_attention.region_scores import ROWS, AttentionTerm, cell_scores, region_scores
from crop_core.models.adapter import ModelError
from crop_core.records.region import GRID

KEY = "crop_attention"
PLAIN_BIAS, PLAIN_DOUBT = -0.5, 0.2  # see `Rule.plain`
LARGEST = 64  # parts a side


@dataclass(frozen=True)
class AttentionRule:
    """terms and bias: a cell's heat, see `heat.Term`. whole: what the whole image counts more than its cells.

    side: the glimpse has side x side parts. calibration: how region and confidence follow from the probabilities of
    regions. Raises ValueError for what cannot be.
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
        if not 1 <= self.side <= LARGEST:
            raise ValueError(f"side {self.side} is not between 1 and {LARGEST}")

    @classmethod
    def plain(cls, layers: int, heads: int) -> AttentionRule:
        """For a model that nobody measured: all heads of the second quarter of its layers alike. Half the log attention
        of the last text token and half that of all of them, less that of the first token behind the image.

        OURS; bias and doubt are what was good for the bundled model, whose own rule is far better.
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
        """What the config of the checkpoint `name` says, the plain rule without the key.

        Raises ModelError for a rule that is not understood or reads what the model does not have.
        """
        text = config.text_config
        layers, heads = text.num_hidden_layers, text.num_attention_heads
        told = getattr(config, KEY, None)
        try:
            rule = cls.plain(layers, heads) if told is None else cls.from_json(told)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise ModelError(
                f"The {KEY} in the config of {name} cannot be read ({error}); it needs terms such as "
                '"4.2 last": 0.5, and may have bias, whole, side, doubt, scale and shift.'
            ) from error
        if any(term.layer >= layers or term.head >= heads for term in rule.terms):
            raise ModelError(
                f"The {KEY} in the config of {name} reads what the model does not have; it has layers 0 to "
                f"{layers - 1} of heads 0 to {heads - 1}."
            )
        return rule

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> AttentionRule:
        """Inverse of `to_json`; TypeError, ValueError, KeyError or AttributeError for what is no rule."""
        told = dict(told)
        terms = tuple(_term(name, weight) for name, weight in told.pop("terms").items())
        calibration = Calibration(**{key: told.pop(key) for key in ("doubt", "scale", "shift") if key in told})
        return cls(terms, calibration=calibration, **told)

    def to_json(self) -> dict[str, Any]:
        """The value of KEY in a checkpoint's config.json."""
        terms = {f"{term.layer}.{term.head} {term.rows}": term.weight for term in self.terms}
        own = {"terms": terms, "bias": self.bias, "whole": self.whole, "side": self.side}
        return own | self.calibration.to_json()

    @property
    def layers(self) -> list[int]:
        """The decoder layers that are read, rising."""
        return sorted({term.layer for term in self.terms})

    def read(self, shares: NDArray[np.floating]) -> DecodedRegion:
        """The region of what the T terms read, (T, 64) as `heat.shares` gives it."""
        return decode_region_scores(
            region_scores(cell_scores(shares, self.terms) - self.bias, self.whole), self.calibration.doubt
        )

    def confidence(self, reading: DecodedRegion) -> float | None:
        """The probability in [0, 1] that the region covers all that is needed; None for a rule without calibration."""
        return self.calibration.confidence(reading.log_covered) if self.calibration.calibrated else None


def _term(name: str, weight: float) -> AttentionTerm:
    place, rows = name.split()
    layer, head = place.split(".")
    return AttentionTerm(int(layer), int(head), rows, float(weight))
