"""How the self-localizer's region came about: each cell's probability, and the heads that weigh most. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crop_core.localize.decoding.region_decoding import cells_of_regions
from crop_core.localize.self_attention.attention_rule import AttentionRule, AttentionTerm
from crop_core.records.explanation import Explanation, ExplanationMap
from crop_core.records.formatting import counted
from crop_core.records.localizers import SELF
from crop_core.records.region import GRID

HEADS = 6  # maps of single heads at most


def explained(rule: AttentionRule, shares: NDArray[np.floating]) -> Explanation:
    """shares: (T, 64), unweighted, by term of the rule and cell, as from `attention_rule.shares`."""
    own: dict[tuple[int, int], set[tuple[str, float]]] = {}
    for term in rule.terms:
        own.setdefault((term.layer, term.head), set()).add((term.rows, term.weight))
    heads = len(own)
    cells = ExplanationMap(f"Probability by {counted(heads, 'head')}", cells_of_regions(rule.probabilities(shares)))
    strongest = sorted(range(len(rule.terms)), key=lambda number: -abs(rule.terms[number].weight))[:HEADS]
    if len(set(map(frozenset, own.values()))) == 1 and heads > HEADS:
        strongest = []  # none of them stands out
    maps = [ExplanationMap(_title(rule.terms[number]), _attention(shares[number])) for number in strongest]
    layers = f"layers {rule.layers[0]} to {rule.layers[-1]}" if len(rule.layers) > 1 else f"layer {rule.layers[0]}"
    summary = f"Attention of {counted(heads, 'head')} in {layers} of the answering model to the 8x8 cells."
    return Explanation(SELF, summary, maps=[cells, *maps])


def _title(term: AttentionTerm) -> str:
    return f"Layer {term.layer}, head {term.head}, {term.rows} text token{'s' if term.rows in ('mean', 'max') else ''}"


def _attention(share: NDArray[np.floating]) -> NDArray[np.float64]:
    """(8, 8): the attention of one term to each cell, relative to their mean."""
    return np.exp(share.astype(float)).reshape(GRID, GRID)
