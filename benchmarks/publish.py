"""`python -m benchmarks.publish`: fill every table and figure of the README, docs/ and the model cards from the
records of `make bench` in benchmarks/results; writes benchmarks/results/methods.json and the failure gallery too.

A text marks a figure as `<!-- NAME -->...<!-- end -->`; the text between the marks is replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import (
    cost,
    count_all,
    failure_gallery,
    independent,
    peer_search,
    plc_study,
    reference,
    region_quality,
    search,
    tables,
    text_localizer,
)
from crop_core.evaluate.report import texts
from crop_core.evaluate.report.summary import RunSummary, Summary, summarise
from crop_core.evaluate.report.table import methods_table
from crop_core.evaluate.report.texts import index
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL, BLIND, BUDGETS, Trial
from crop_core.records.config import LEFT

if TYPE_CHECKING:
    import pandas as pd

RESULTS = Path("benchmarks/results")
COST, BESIDE, METHODS = "cost.json", "beside.json", "methods.json"
INDEPENDENT = "independent"  # folder of the records of the independent world
PLC, SEARCH = "plc.json", "search.json"
TEXTS = (
    Path("README.md"),
    Path("docs/evidence.md"),
    Path("assets/models/crop-tiny/README.md"),
    Path("assets/models/crop-tiny-locator/README.md"),
)
SEPARATE = Path("docs/methods.md")  # from plc_study, search, peer_search, count_all
LOCALIZERS = Path("docs/localizers.md")  # filled from those of text_localizer
SHOWN = ("ilp", "plc", "crop", "random", "fastv")  # by kind of question; all methods are in a table of their own
PREDICTED = Trial("crop", "64")  # its regions are the localizer's
OWN = [Trial("crop", budget, region="self") for budget in BUDGETS]
OTHER = [Trial("crop", "64", region=region) for region in ("reference", "random")]
EVICTED = [
    Trial(method, budget, evict=evict) for method in ("ilp", "crop") for budget in BUDGETS for evict in (False, True)
]
SUBSET = 2  # questions of each kind for a quick check of the model cards
_MARK = re.compile(r"(<!-- ([a-z ]+) -->).*?(<!-- end -->)", re.DOTALL)


def fragments(
    records: pd.DataFrame, costs: Mapping[str, Any], beside: Mapping[str, Any], others: pd.DataFrame
) -> dict[str, str]:
    """Every figure that a text may contain, by name. costs, beside: the contents of COST and BESIDE. others: the
    records of the independent world.
    """
    other = summarise(others)
    at_end = records["budget"].astype(str).str.endswith(LEFT)
    left = records[at_end | (records["trial"] == ALL.name)]
    records = records[~at_end]
    summary = summarise(records, majority=beside["majority"])
    pruned = [Trial(method, budget) for method in SHOWN for budget in BUDGETS]
    trained = region_quality.summary(_rows(records, PREDICTED))
    first = region_quality.first_of_each_kind(records, SUBSET)
    regions = region_quality.figures(_rows(first, PREDICTED))
    right, questions = int(_rows(first, ALL)["score"].sum()), len(_rows(first, ALL))
    blocks = {
        "accuracy": independent.beside_runs(tables.accuracy_table(summary, [ALL, BLIND, *pruned, *OTHER]), other),
        "by kind": tables.kinds_table(
            summary, {"baseline": ALL, "CROP at 192": Trial("crop", "192"), "CROP at 64": Trial("crop", "64")}
        ),
        "methods": independent.beside_methods(methods_table(summary).markdown(), other),
        "independent": independent.by_kind(others),
        "left": tables.left_table(summarise(left)),
        "headline": " ".join(texts.headline(summary)[1:]),
        "localizer": tables.localizer_table(trained),
        "reliability": tables.reliability_table(trained),
        "self localizer": _self_localizer(records, beside, trained),
        "self accuracy": independent.beside_runs(tables.accuracy_table(summary, [ALL, *OWN], majority=False), other),
        "self cost": tables.finding_table(cost.medians(costs["localizers"])),
        "cost": tables.cost_table(cost.medians(costs["answers"])),
        "eviction": tables.eviction_table(records, [ALL, *EVICTED]),
    }
    return {name: f"\n\n{table}\n\n" for name, table in blocks.items()} | {
        "ratio": f"{cost.ttft_ratio(costs['answers']):.2f}",
        "ece": f"{trained['ece']:.3f}",
        "questions": str(summary.questions),
        "contribution": index(summary),
        "independent questions": str(other.questions),
        "independent baseline": f"{other.full.accuracy.value:.1%}",
        "overall": _overall(summary),
        "subset": f"{right} of {questions} right as the baseline, mean IoU {regions['iou']:.4f}",
    }


def fill(text: str, figures: Mapping[str, str]) -> str:
    """The text with every mark filled; KeyError for a name without a figure."""
    return _MARK.sub(lambda mark: mark[1] + figures[mark[2]] + mark[3], text)


def measured(folder: Path = RESULTS) -> dict[str, str]:
    """Every figure measured by `make bench`, by name: those of TEXTS."""
    others = store.read(folder / INDEPENDENT)
    return fragments(store.read(folder), _json(folder / COST), _json(folder / BESIDE), others)


def measured_separately(folder: Path = RESULTS) -> dict[str, str]:
    """The tables of `benchmarks.plc_study`, `search`, `peer_search` and `count_all`, by name: those of SEPARATE."""
    tables_by_name = {
        "plc": plc_study.table(_json(folder / PLC)["runs"]),
        "counts": count_all.table(_json(count_all.RESULTS)["parts"]),
        "peers": peer_search.table(_json(peer_search.RESULTS)["peers"]),
        "search": search.short_table(_json(folder / SEARCH)["held_out"]["runs"]),
    }
    blocks = {name: f"\n\n{table}\n\n" for name, table in tables_by_name.items()}
    return blocks | {"peer questions": str(_json(peer_search.RESULTS)["questions"])}


def filled() -> dict[Path, str]:
    """Every text with its current figures."""
    figures, separate = measured(), measured_separately()
    read, lists = text_localizer.fragments(_json(text_localizer.OUT)), reference.lists()
    pages = dict.fromkeys(TEXTS, figures) | {SEPARATE: separate | lists, LOCALIZERS: read | lists}
    return {file: fill(file.read_text(encoding="utf-8"), figures) for file, figures in pages.items()}


def methods(folder: Path = RESULTS) -> dict[str, Any]:
    """A row per method and budget with the identity of the sweep, in the bundled and in the independent world."""
    return {**_methods(folder), INDEPENDENT: _methods(folder / INDEPENDENT)}


def _methods(folder: Path) -> dict[str, Any]:
    summary = summarise(store.read(folder))
    return {"sweep": store.facts(folder), "questions": summary.questions, "runs": [_row(run) for run in summary.runs]}


def _row(run: RunSummary) -> dict[str, Any]:
    """A run's figures, rounded to the precision of the measurement."""
    shares = {"accuracy": run.accuracy, "kept": run.kept, "agreement": run.agreement}
    names = ("kl_first_mean", "logprob_change", "mean_tokens", "final_tokens", "kv_bytes", "flops", "ttft_s", "total_s")
    return {
        "run": run.name,
        "method": run.run.method,
        "budget": run.run.budget,
        **{name: round(share.value, 4) for name, share in shares.items()},
        "interval": [round(run.accuracy.low, 4), round(run.accuracy.high, 4)],
        **{name: float(f"{getattr(run, name):.5g}") for name in names},
        "by_kind": {kind: round(share.value, 4) for kind, share in run.by_kind.items()},
    }


def _self_localizer(records: pd.DataFrame, beside: Mapping[str, Any], trained: Mapping[str, Any]) -> str:
    """Region quality of the self-localizer, compared with others and by kind."""
    rows = _rows(records, OWN[-1])
    own = region_quality.summary(rows)
    by_kind = {f"self, {kind}": figures for kind, figures in own["by_kind"].items()}
    others = region_quality.beside(rows, beside["plain"])
    return tables.regions_table({"trained": trained, "self": own, **others, **by_kind})


def _overall(summary: Summary) -> str:
    blind = summary.blind.accuracy.value if summary.blind else float("nan")
    return (
        f"{summary.full.accuracy.value:.1%} exact as the baseline (576 tokens), {blind:.1%} blind (a grey image), "
        f"{summary.majority['']:.1%} by the most frequent answer of each kind"
    )


def _rows(records: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    return records[records["trial"] == trial.name]


def _json(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def main() -> None:
    """Fill every text."""
    argparse.ArgumentParser(prog="python -m benchmarks.publish", description=__doc__).parse_args()
    pages = filled()
    for file, text in pages.items():
        file.write_text(text, encoding="utf-8")
    (RESULTS / METHODS).write_text(json.dumps(methods(), indent=1) + "\n", encoding="utf-8")
    failure_gallery.write(store.read(RESULTS / INDEPENDENT))
    sys.stdout.write(
        f"filled {', '.join(map(str, pages))} and {RESULTS / METHODS}, made {failure_gallery.PAGE} from {RESULTS}\n"
    )


if __name__ == "__main__":
    main()
