"""POPE: is an object in the image, yes or no (Li et al., arXiv 2305.10355).

A reply is read as by POPE's evaluate.py: of its first sentence, without commas, "No", "no" or "not" as a word of its
own means no, and everything else yes, "nothing" and an empty reply as well. Where no reply says yes, precision and F1
are 0; the script stops there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.metrics.figures import by_kind

if TYPE_CHECKING:
    import pandas as pd

_NO = {"No", "no", "not"}
FIGURES = ("f1", "accuracy", "precision", "recall", "yes ratio")


def says_yes(reply: str) -> bool:
    """Whether a reply is read as yes."""
    return _NO.isdisjoint(reply.strip().split(".")[0].replace(",", "").split(" "))


class YesNo:
    """1 for the right one of yes and no."""

    name, label = "yesno", "yes/no accuracy"

    def score(self, reply: str, example: Example) -> float:
        """1 or 0."""
        return float(says_yes(reply) == (example.answers[0] == "yes"))

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """`f1`, `accuracy`, `precision`, `recall` and `yes ratio` in percent, each the mean over the kinds (random,
        popular, adversarial), as tables of POPE give it; then F1 and accuracy of each kind.
        """
        kinds = {str(kind): figures(part) for kind, part in records.groupby("kind", observed=True)}
        found = {name: sum(each[name] for each in kinds.values()) / len(kinds) for name in FIGURES}
        found |= {f"{kind} f1": each["f1"] for kind, each in kinds.items() if kind}
        return found | {f"{kind} accuracy": share for kind, share in by_kind(records).items()}


def figures(records: pd.DataFrame) -> dict[str, float]:
    """FIGURES of some records, in percent; "yes" is what is looked for."""
    yes = records["reply"].map(says_yes).astype(bool)
    gold = records["gold"] == "yes"
    hits = float((yes & gold).sum())
    precision, recall = _share(hits, yes.sum()), _share(hits, gold.sum())
    f1 = _share(2 * precision * recall, precision + recall)
    shares = (f1, float((yes == gold).mean()), precision, recall, float(yes.mean()))
    return {name: 100 * share for name, share in zip(FIGURES, shares, strict=True)}


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
