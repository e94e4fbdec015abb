"""Metrics: answers scored as each benchmark's own script scores them. Official figures are in percent (MME's
in its points), scores of single answers from 0 to 1. Knows nothing of models and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def percent(records: pd.DataFrame) -> float:
    """Mean score, in percent."""
    return 100 * float(records["score"].mean())


def by_kind(records: pd.DataFrame) -> dict[str, float]:
    """Mean score of each kind in percent, by name; empty where the examples have no kinds."""
    means = records.groupby("kind", observed=True)["score"].mean()
    return {str(kind): 100 * float(mean) for kind, mean in means.items() if kind}


def share_of(records: pd.DataFrame, says: Callable[[str], bool]) -> float:
    """Share of the replies of which `says` is true, in percent."""
    return 100 * float(records["reply"].astype(str).map(says).mean())


def accuracy(records: pd.DataFrame) -> dict[str, float]:
    """Mean score overall, then of each kind, in percent."""
    return {"accuracy": percent(records), **by_kind(records)}
