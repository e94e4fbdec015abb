"""Pruners by name. A new method is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from crop_core.prune.ilp import IlpPruner
from crop_core.prune.protocol import PruneError, Pruner

Cuts = tuple[tuple[int, int], ...]
PRUNERS: dict[str, Callable[[Cuts, Sequence[NDArray[np.bool_]], int], Pruner]] = {
    "ilp": IlpPruner,
}


def pruner(name: str, cuts: Cuts, region: Sequence[NDArray[np.bool_]], query_rows: int) -> Pruner:
    """The pruner `name` for these cuts (layer, count), region masks (per sample (M,) bool) and text rows that score."""
    if name not in PRUNERS:
        raise PruneError(f"The pruner {name!r} is not known; choose one of {', '.join(PRUNERS)}.")
    return PRUNERS[name](cuts, region, query_rows)
