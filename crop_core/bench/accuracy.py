"""Exact answers by run and kind of question, and how much of the unpruned accuracy a method retains.

Pure arithmetic over sheets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crop_core.bench.examiner import ALL, BLIND, Sheet, normal

MAJORITY = "majority"


@dataclass
class Tally:
    """Right answers of one run by kind, and the mean visual tokens per layer of each of its answers."""

    hits: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    tokens: list[float] = field(default_factory=list)

    def add(self, kind: str, hit: bool, tokens: float = 0.0) -> None:
        """Count one answer."""
        self.hits[kind].append(hit)
        self.tokens.append(tokens)

    @property
    def overall(self) -> float:
        """Share of right answers over all questions."""
        every = [hit for hits in self.hits.values() for hit in hits]
        return sum(every) / len(every)

    @property
    def by_kind(self) -> dict[str, float]:
        """Share of right answers of each kind."""
        return {kind: sum(hits) / len(hits) for kind, hits in self.hits.items()}

    @property
    def mean_tokens(self) -> float:
        """Mean over questions of the mean visual tokens per layer."""
        return sum(self.tokens) / len(self.tokens)

    def to_json(self) -> dict[str, Any]:
        """overall, mean_tokens and by_kind."""
        return {"overall": self.overall, "mean_tokens": self.mean_tokens, "by_kind": self.by_kind}


def tallies(sheets: Iterable[Sheet], majority: Mapping[str, str]) -> dict[str, Tally]:
    """Every run of the sheets, and MAJORITY, which answers what is most frequent of a kind; all tokens come first."""
    found: dict[str, Tally] = {name: Tally() for name in (ALL, MAJORITY, BLIND)}
    for sheet in sheets:
        found[MAJORITY].add(sheet.kind, normal(majority.get(sheet.kind, "")) == normal(sheet.answer))
        for name, reply in sheet.replies.items():
            found.setdefault(name, Tally()).add(sheet.kind, sheet.is_right(name), reply.mean_tokens)
    return found


def headline(found: Mapping[str, Tally]) -> dict[str, Any]:
    """Accuracy with every visual token, overall and by kind, beside answering blindly and by the most frequent."""
    full = found[ALL]
    blind, majority = (found[name].overall for name in (BLIND, MAJORITY))
    return {"overall": full.overall, "blind": blind, "majority": majority, "by_kind": full.by_kind}


def retention(
    found: Mapping[str, Tally], methods: Sequence[str], budgets: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Share of the accuracy with all tokens that is left, by method and budget; 0 where there was none."""
    full = found[ALL].overall
    return {
        method: {f"{budget:g}": found[f"{method} {budget:g}"].overall / full if full else 0.0 for budget in budgets}
        for method in methods
    }
