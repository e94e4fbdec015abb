"""`python -m benchmarks.publish`: every table and figure of the README and the model cards again, from what
`make bench` has recorded in benchmarks/results; writes benchmarks/results/methods.json too.

A text keeps the place of a figure as `<!-- NAME -->...<!-- end -->`; what stands between is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import cost, plc_study, reference, region_quality, search, tables
from crop_core.evaluate.report.summary import RunSummary, Summary, summarise
from crop_core.evaluate.report.table import methods_table
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL, BLIND, BUDGETS, Trial

if TYPE_CHECKING:
    import pandas as pd

RESULTS = Path("benchmarks/results")
COST, BESIDE, METHODS = "cost.json", "beside.json", "methods.json"
PLC, SEARCH = "plc.json", "search.json"
TEXTS = (
    Path("README.md"),
    Path("docs/evidence.md"),
    Path("assets/models/crop-tiny/README.md"),
    Path("assets/models/crop-tiny-locator/README.md"),
)
APART = Path("docs/methods.md")  # whose figures are those of commands of their own
SHOWN = ("ilp", "plc", "crop", "random", "fastv")  # with all kinds of question; all methods stand in a table of theirs
FOUND = Trial("crop", "64")  # whose regions are the localizer's
OWN = [Trial("crop", budget, region="self") for budget in BUDGETS]
OTHER = [Trial("crop", "64", region=region) for region in ("needed", "elsewhere")]
EVICTED = [
    Trial(method, budget, evict=evict) for method in ("ilp", "crop") for budget in BUDGETS for evict in (False, True)
]
SUBSET = 2  # questions of each kind by which anybody can check the model cards in a minute
_PLACE = re.compile(r"(<!-- ([a-z ]+) -->).*?(<!-- end -->)", re.DOTALL)


def fragments(records: pd.DataFrame, costs: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, str]:
    """Every figure that a text may ask for, by name. costs, beside: of COST and BESIDE."""
    summary = summarise(records, majority=beside["majority"])
    pruned = [Trial(method, budget) for method in SHOWN for budget in BUDGETS]
    found, first = region_quality.summary(_rows(records, FOUND)), region_quality.first_of_each_kind(records, SUBSET)
    regions = region_quality.figures(_rows(first, FOUND))
    right, asked = int(_rows(first, ALL)["score"].sum()), len(_rows(first, ALL))
    blocks = {
        "accuracy": tables.accuracy_table(summary, [ALL, BLIND, *pruned, *OTHER]),
        "by kind": tables.kinds_table(
            summary, {"all 576 tokens": ALL, "CROP at 192": Trial("crop", "192"), "CROP at 64": Trial("crop", "64")}
        ),
        "methods": methods_table(summary).markdown(),
        "localizer": tables.localizer_table(found),
        "reliability": tables.reliability_table(found),
        "self localizer": _self_localizer(records, beside, found),
        "self accuracy": tables.accuracy_table(summary, [ALL, *OWN], majority=False),
        "self cost": tables.finding_table(cost.medians(costs["localizers"])),
        "cost": tables.cost_table(cost.medians(costs["answers"])),
        "eviction": tables.eviction_table(records, [ALL, *EVICTED]),
    }
    return {name: f"\n\n{table}\n\n" for name, table in blocks.items()} | {
        "ratio": f"{cost.ttft_ratio(costs['answers']):.2f}",
        "ece": f"{found['ece']:.3f}",
        "questions": str(summary.questions),
        "overall": _overall(summary),
        "subset": f"{right} of {asked} right with all tokens, mean IoU {regions['iou']:.4f}",
    }


def fill(text: str, known: Mapping[str, str]) -> str:
    """The text with every place filled; KeyError for a place that has no figure."""
    return _PLACE.sub(lambda place: place[1] + known[place[2]] + place[3], text)


def measured(folder: Path = RESULTS) -> dict[str, str]:
    """Every figure of what `make bench` keeps, by name: those of TEXTS."""
    return fragments(store.read(folder), _json(folder / COST), _json(folder / BESIDE))


def measured_apart(folder: Path = RESULTS) -> dict[str, str]:
    """The tables of `benchmarks.plc_study` and `benchmarks.search`, by name: those of APART."""
    tables_apart = {
        "plc": plc_study.table(_json(folder / PLC)["runs"]),
        "search": search.short_table(_json(folder / SEARCH)["held_out"]["runs"]),
    }
    return {name: f"\n\n{table}\n\n" for name, table in tables_apart.items()}


def filled() -> dict[Path, str]:
    """What every text must say."""
    known, apart = measured(), measured_apart()
    texts = dict.fromkeys(TEXTS, known) | {APART: apart | reference.lists()}
    return {file: fill(file.read_text(encoding="utf-8"), figures) for file, figures in texts.items()}


def methods(folder: Path = RESULTS) -> dict[str, Any]:
    """A row per method and budget, with what it was a run of."""
    summary = summarise(store.read(folder))
    return {"sweep": store.facts(folder), "questions": summary.questions, "runs": [_row(run) for run in summary.runs]}


def _row(run: RunSummary) -> dict[str, Any]:
    """Rounded so that the file says no more than was measured."""
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
    """The self-localizer's regions beside others, and by kind."""
    rows = _rows(records, OWN[-1])
    own = region_quality.summary(rows)
    by_kind = {f"self, {kind}": figures for kind, figures in own["by_kind"].items()}
    others = region_quality.beside(rows, beside["plain"])
    return tables.regions_table({"trained": trained, "self": own, **others, **by_kind})


def _overall(summary: Summary) -> str:
    blind = summary.blind.accuracy.value if summary.blind else float("nan")
    return (
        f"{summary.full.accuracy.value:.1%} exact with all 576 tokens, {blind:.1%} blind (a grey image), "
        f"{summary.majority['']:.1%} by the most frequent answer of each kind"
    )


def _rows(records: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    return records[records["trial"] == trial.name]


def _json(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Fill every text."""
    texts = filled()
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    (RESULTS / METHODS).write_text(json.dumps(methods(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"filled {', '.join(map(str, texts))} and {RESULTS / METHODS} from {RESULTS}\n")


if __name__ == "__main__":
    main()
