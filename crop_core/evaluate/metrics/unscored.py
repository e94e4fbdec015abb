"""No metric, for questions whose answers nobody has: replies are kept, and scored elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example

if TYPE_CHECKING:
    import pandas as pd


class Unscored:
    """Every score is NaN."""

    name, label = "unscored", "no score"

    def score(self, reply: str, example: Example) -> float:
        """NaN."""
        return math.nan

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """No figures."""
        return {}


UNSCORED = Unscored()
