"""Outcome of a sweep: its records validated, summarised, written as JSON and as an HTML report."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crop_core.evaluate.datasets.protocol import Dataset
from crop_core.evaluate.report.html import report
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.report.table import full_table, localizers_table, methods_table
from crop_core.evaluate.report.texts import headline
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import Trial
from crop_core.evaluate.runner.work import Skipped

if TYPE_CHECKING:
    import pandas as pd

SUMMARY, PAGE = "summary.json", "report.html"


def write_outcome(folder: Path, data: Dataset, trials: Sequence[Trial], skipped: Sequence[Skipped]) -> str:
    """Write summary.json and report.html beside the records; return the result in sentences and tables.

    skipped: examples left out of every trial, recorded with their reasons. Raises RecordsError, or its MissedBudget,
    for records that cannot be compared.
    """
    examples = {each.id for each in data.examples} - {each.example for each in skipped}
    records = comparable(store.read(folder), examples, {trial.name for trial in trials})
    summary, facts = summarise(records, data.metric), store.facts(folder)
    failed = {each.example: each.reason for each in skipped}
    content = {"sweep": facts, "skipped": failed, **summary.to_json()}
    (folder / SUMMARY).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(report(summary, records, facts), encoding="utf-8")
    return "\n\n".join(
        [
            "\n".join(headline(summary)),
            methods_table(summary).markdown(),
            *([localizers_table(summary, str(facts.get("localizer"))).markdown()] if summary.localizers else []),
            full_table(summary).markdown(),
            f"Written to {folder / SUMMARY} and {folder / PAGE}.",
        ]
    )


def comparable(records: pd.DataFrame, examples: Collection[str], trials: Collection[str]) -> pd.DataFrame:
    """Records of the examples, in `trials` and in every other trial that has all of them."""
    records = records[records["example"].isin(examples)]
    counts = records.groupby("trial")["example"].nunique()
    complete = set(counts.index[counts == len(examples)])
    return records[records["trial"].isin(complete | set(trials))].reset_index(drop=True)
