"""Sentences about what a reader of the scores could miss: images too small for a budget, and replies that are right but
for their wording.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from crop_core.evaluate.metrics.text_match import Exact, contains
from crop_core.evaluate.report.scores import tokens_of
from crop_core.evaluate.runner.plan import ALL
from crop_core.records.config import Budget

if TYPE_CHECKING:
    import pandas as pd

    from crop_core.evaluate.datasets.protocol import Metric


def hints(records: pd.DataFrame, metric: Metric | None) -> tuple[str, ...]:
    """Sentences about valid records; none where there is nothing to say."""
    return (*unpruned(records), *(_forgiven(records) if metric and metric.name == Exact.name else ()))


def unpruned(records: pd.DataFrame) -> Iterator[str]:
    """For how many questions a budget keeps every token."""
    for budget, rows in records[records["budget"] != ""].groupby("budget", observed=True, sort=False):
        tokens = rows.drop_duplicates("example")["visual_tokens"]
        small = sum(tokens_of(str(budget), count) >= count for count in tokens)
        if small:
            yield (
                f"At {Budget.parse(str(budget))}, {small} of {len(tokens)} questions are about images of no more "
                "visual tokens than that; nothing was pruned for them."
            )


def _forgiven(records: pd.DataFrame) -> Iterator[str]:
    """How many of the baseline's wrong replies hold the answer."""
    wrong = records[(records["trial"] == ALL.name) & (records["score"] == 0)]
    near = sum(contains(str(reply), str(gold)) for reply, gold in zip(wrong["reply"], wrong["gold"], strict=True))
    if near:
        yield (
            f"{near} of the baseline's {len(wrong)} wrong replies hold the answer, with other punctuation, articles or "
            "more words; --metric contains forgives all of these, --metric vqa punctuation and articles."
        )
