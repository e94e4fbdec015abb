"""What the search for CROP's default compares: a table of settings, and the grown region that some of them use."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from crop_core.records.config import CropConfig, IlpConfig, PlcConfig, Ring
from crop_core.records.methods import METHODS
from crop_core.records.region import GRID, Region

POOLED, CHOSEN = "plc", "distinct"  # methods before the LLM


@dataclass(frozen=True)
class Candidate:
    """config: without its budget. margin: by how many cells a region whose confidence is below `unsure` grows on every
    side.
    """

    config: CropConfig
    margin: int = 0
    unsure: float = math.inf

    @property
    def sort(self) -> tuple[bool, bool]:
        """What it is ranked among: whether it pools, and whether ILP follows."""
        return self.config.parts.compressor == METHODS[POOLED].compressor, self.config.parts.pruner is not None

    def region(self, found: Region) -> Region:
        """What the candidate takes for the found region."""
        margin, last = self.margin if (found.confidence or 0) < self.unsure else 0, GRID - 1
        return replace(
            found,
            x0=max(0, found.x0 - margin),
            y0=max(0, found.y0 - margin),
            x1=min(last, found.x1 + margin),
            y1=min(last, found.y1 + margin),
        )


def both(
    method: str, overshoot: float, ilp: IlpConfig | None = None, margin: int = 0, unsure: float = math.inf
) -> Candidate:
    """A method before the LLM, with ILP behind it."""
    config = CropConfig(f"{method}+ilp", None, PlcConfig(overshoot=overshoot), ilp or IlpConfig())
    return Candidate(config, margin, unsure)


def alone(method: str, ratios: tuple[float, float, float] | None = None) -> Candidate:
    """The same without ILP; ratios: instead of those of the default rings."""
    plc = PlcConfig()
    if ratios is not None:
        plc = PlcConfig(tuple(Ring(ring.width, ratio) for ring, ratio in zip(plc.rings, ratios, strict=True)))
    return Candidate(CropConfig(method, None, plc))


REFERENCE = "plc x2 + ilp"  # CROP's default before the search
CANDIDATES = {
    REFERENCE: both(POOLED, 2),
    "plc x1.5 + ilp": both(POOLED, 1.5),
    "plc x1.33 + ilp": both(POOLED, 4 / 3),
    "plc x1.2 + ilp": both(POOLED, 1.2),
    "plc x1.33 + ilp, margin 1": both(POOLED, 4 / 3, margin=1),
    "plc x1.33 + ilp, whole if unsure": both(POOLED, 4 / 3, margin=GRID, unsure=0.9),
    "plc": alone(POOLED),
    "distinct x2 + ilp": both(CHOSEN, 2),
    "distinct x1.33 + ilp": both(CHOSEN, 4 / 3),
    "distinct x1.2 + ilp": both(CHOSEN, 1.2),
    "distinct x1.2 + ilp, 1 row": both(CHOSEN, 1.2, IlpConfig(query_rows=1)),
    "distinct": alone(CHOSEN),
    "distinct, flat rings": alone(CHOSEN, (16, 16, 16)),
    "divprune": alone("divprune"),
}
