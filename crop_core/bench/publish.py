"""`python -m crop_core.bench.publish`: put the measured figures into the README and the model cards.

A text keeps the place of a figure as `<!-- NAME -->...<!-- end -->`; what stands between is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crop_core.bench import eviction, methods
from crop_core.bench.tables import (
    accuracy_table,
    cost_table,
    localizer_table,
    markdown,
    reliability_table,
    self_tables,
)
from crop_core.tiny.questions import KINDS

RESULTS = Path("bench/results/bundled.json")
EVICTION = Path("bench/results/eviction.json")
COMPARED = Path("bench/results/methods.json")
TEXTS = (
    Path("README.md"),
    Path("assets/models/crop-tiny/README.md"),
    Path("assets/models/crop-tiny-locator/README.md"),
)
_PLACE = re.compile(r"(<!-- ([a-z ]+) -->).*?(<!-- end -->)", re.DOTALL)


def fragments(result: Mapping[str, Any]) -> dict[str, str]:
    """Every figure that a text may ask for, by name."""
    subset, full = result["subset"], result["accuracy"]
    regions, kept, finding = self_tables(result["localizer"], result["self_localizer"])
    return {
        "accuracy": _block(accuracy_table(result["runs"])),
        "by kind": _block(_by_kind(result["runs"])),
        "localizer": _block(localizer_table(result["localizer"])),
        "reliability": _block(reliability_table(result["localizer"])),
        "self localizer": _block(regions),
        "self accuracy": _block(kept),
        "self cost": _block(finding),
        "cost": _block(cost_table(result["cost"])),
        "ratio": f"{result['ttft_ratio']:.2f}",
        "ece": f"{result['localizer']['ece']:.3f}",
        "questions": str(result["questions"]),
        "overall": f"{full['overall']:.1%} exact with all 576 tokens, {full['blind']:.1%} blind (a grey picture), "
        f"{full['majority']:.1%} by the most frequent answer of each kind",
        "subset": f"{subset['right']} of {len(subset['answers'])} right with all tokens, mean IoU {subset['iou']:.4f}",
    }


def fill(text: str, known: Mapping[str, str]) -> str:
    """The text with every place filled; KeyError for a place that has no figure."""
    return _PLACE.sub(lambda place: place[1] + known[place[2]] + place[3], text)


def _by_kind(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """The short table of the model card."""
    columns = {"all 576 tokens": "all tokens", "CROP at 192": "crop 192", "CROP at 64": "crop 64"}
    rows = [[kind, *(f"{runs[run]['by_kind'][kind]:.0%}" for run in columns.values())] for kind in KINDS]
    rows.append(["all", *(f"{runs[run]['overall']:.1%}" for run in columns.values())])
    return markdown(["kind", *columns], rows)


def _block(table: str) -> str:
    return f"\n\n{table}\n\n"


def measured() -> dict[str, str]:
    """Every figure of the kept results, by name."""
    evicting = eviction.table(json.loads(EVICTION.read_text())["runs"])
    compared = methods.table(json.loads(COMPARED.read_text())["runs"])
    known = fragments(json.loads(RESULTS.read_text()))
    return {**known, "eviction": _block(evicting), "methods": _block(compared)}


def main() -> None:
    """Fill every text."""
    known = measured()
    for file in TEXTS:
        file.write_text(fill(file.read_text(), known))
    sys.stdout.write(f"filled {', '.join(map(str, TEXTS))} from {RESULTS}\n")


if __name__ == "__main__":
    main()
