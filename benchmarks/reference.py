"""`python -m benchmarks.reference`: the lists of methods, localizers and families in docs/, again from the tables.

A text keeps the place of a list as `<!-- NAME -->...<!-- end -->`; what stands between is replaced.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from crop_core.evaluate.report.table import markdown
from crop_core.models.families.registry import FAMILIES
from crop_core.records.localizers import LOCALIZERS
from crop_core.records.methods import METHODS, PAPER

TEXTS = (Path("docs/methods.md"), Path("docs/localizers.md"))


def _code(path: str | None) -> str:
    """Where "module:Class" lies, for a table."""
    return f"`{path.partition(':')[0].replace('.', '/')}.py`" if path else ""


def method_list() -> str:
    """A row a method."""
    rows = []
    for name, method in METHODS.items():
        needs = {
            "a region": method.needs_region,
            "the vision tower": method.reads_tower,
            "a learned PLC": method.needs_training,
            "the seed": method.uses_seed,
        }
        code = " ".join(filter(None, (_code(method.compressor), _code(method.pruner))))
        read = ", ".join(need for need, one in needs.items() if one)
        own = f"`{name}`" + (f" `{name}{PAPER}`" if method.published else "")
        paper = f"[{method.paper}](https://arxiv.org/abs/{method.paper})" if method.paper else ""
        rows.append([own, method.title, method.label, read, paper, code])
    return markdown(["method", "title", "what it does", "reads", "paper", "code"], rows)


def localizer_list() -> str:
    """A row a localizer."""
    kinds = [
        ["a checkpoint" if row.checkpoint else f"`{name}`", row.label, _code(row.factory)]
        for name, row in LOCALIZERS.items()
    ]
    return markdown(["localizer", "what it is", "code"], kinds)


def family_list() -> str:
    """A row a family of models."""
    rows = [[row.title, f"`{kind}`", f"`{row.example}`"] for kind, row in FAMILIES.items()]
    return markdown(["family", "config.model_type", "such as"], rows)


LISTS: dict[str, Callable[[], str]] = {
    "method list": method_list,
    "localizer list": localizer_list,
    "family list": family_list,
}


def lists() -> dict[str, str]:
    """What stands between the marks of each list, by its name."""
    return {name: f"\n\n{make()}\n\n" for name, make in LISTS.items()}


def filled(text: str) -> str:
    """The text with every list anew."""
    tables = lists()
    place = re.compile(rf"(<!-- ({'|'.join(tables)}) -->).*?(<!-- end -->)", re.DOTALL)
    return place.sub(lambda mark: mark[1] + tables[mark[2]] + mark[3], text)


def main() -> None:
    """Fill every text."""
    argparse.ArgumentParser(prog="python -m benchmarks.reference", description=__doc__).parse_args()
    for file in TEXTS:
        file.write_text(filled(file.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"filled {', '.join(map(str, TEXTS))}\n")


if __name__ == "__main__":
    main()
