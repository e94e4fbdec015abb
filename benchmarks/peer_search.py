"""`python -m benchmarks.peer_search`: the best setting of every peer on the bundled model, with the same effort for
each: four candidates, the same development questions, all three budgets.

A peer's first candidate is its default here, one is its published setting; the others turn the knob that its paper
varies. The winner has the most right answers over all budgets, and becomes the default by hand, in the method's file.
The questions are neither the benchmark's nor those of training. Printed and written to
benchmarks/results/peer_search.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.search import BUDGETS, Candidate, CandidateRunner, figures
from crop_core.compress.cdpruner import CdPrunerCompressor, PublishedCdPruner
from crop_core.compress.divprune import DivPruneCompressor
from crop_core.compress.visionzip import PublishedVisionZip, VisionZipCompressor
from crop_core.compress.vispruner import PublishedVisPruner, VisPrunerCompressor
from crop_core.evaluate.report.table import markdown
from crop_core.localize import WholeImage
from crop_core.models import DEFAULT_MODEL, load
from crop_core.prune.dart import DartPruner, PublishedDart
from crop_core.prune.fastv import FastvPruner, PublishedFastv
from crop_core.prune.pyramiddrop import PublishedPyramidDrop, PyramidDropPruner
from crop_core.prune.sparsevlm import PublishedSparseVlm, SparseVlmPruner
from crop_core.records.config import CropConfig
from crop_core.records.environment import benchmark_environment
from crop_core.records.methods import METHODS, Method
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

RESULTS = Path("benchmarks/results/peer_search.json")


class FastvAt3(FastvPruner):
    """K = 3, as in FastV's demos."""

    layer = 3


class FastvAt4(FastvPruner):
    """K = 4."""

    layer = 4


class DartAt3(DartPruner):
    """The cut at layer 3."""

    layer = 3


class DartAt4(DartPruner):
    """The cut at layer 4."""

    layer = 4


class TwoStages(PyramidDropPruner):
    """Two cuts, evenly over the depth."""

    stages = ((1 / 3, 1 / 2), (2 / 3, 1 / 4))


class SixStages(PyramidDropPruner):
    """Six cuts, evenly over the depth."""

    stages = tuple((number / 7, 2.0**-number) for number in range(1, 7))


class NothingRecycled(SparseVlmPruner):
    """Without recycling."""

    recycles = False


class SharesOf64(SparseVlmPruner):
    """The code's counts for its 64 tokens."""

    shares = (66 / 576, 30 / 576, 17 / 576)


@dataclass(frozen=True)
class HalfContextual(VisionZipCompressor):
    """As many contextual tokens as dominant ones."""

    dominant: int = 32
    contextual: int = 32


@dataclass(frozen=True)
class NoneContextual(VisionZipCompressor):
    """Dominant tokens only."""

    dominant: int = 64
    contextual: int = 0


@dataclass(frozen=True)
class QuarterImportant(VisPrunerCompressor):
    """A quarter by attention."""

    important: float = 0.25


@dataclass(frozen=True)
class MostImportant(VisPrunerCompressor):
    """Three quarters by attention, as the code has it for MME."""

    important: float = 0.75


class QuarterRelevant(CdPrunerCompressor):
    """A quarter of the weight of the relevance."""

    weight = 0.25


class Irrelevant(CdPrunerCompressor):
    """Without relevance."""

    weight = 0.0


CANDIDATES: dict[str, dict[str, type]] = {
    "fastv": {"K = 1": FastvPruner, "K = 2, published": PublishedFastv, "K = 3": FastvAt3, "K = 4": FastvAt4},
    "pyramiddrop": {
        "shares scaled": PyramidDropPruner,
        "halving, published": PublishedPyramidDrop,
        "two stages": TwoStages,
        "six stages": SixStages,
    },
    "sparsevlm": {
        "one layer earlier": SparseVlmPruner,
        "published": PublishedSparseVlm,
        "nothing recycled": NothingRecycled,
        "shares of its 64": SharesOf64,
    },
    "dart": {"layer 1": DartPruner, "layer 2, published": PublishedDart, "layer 3": DartAt3, "layer 4": DartAt4},
    "visionzip": {
        "attention received": VisionZipCompressor,
        "class token, published": PublishedVisionZip,
        "32 + 32": HalfContextual,
        "64 + 0": NoneContextual,
    },
    "divprune": {"published": DivPruneCompressor},
    "cdpruner": {
        "half of the relevance": CdPrunerCompressor,
        "all of it, published": PublishedCdPruner,
        "a quarter of it": QuarterRelevant,
        "none": Irrelevant,
    },
    "vispruner": {
        "attention received": VisPrunerCompressor,
        "class token, published": PublishedVisPruner,
        "1/4 by attention": QuarterImportant,
        "3/4 by attention": MostImportant,
    },
}


@dataclass(frozen=True)
class PeerConfig(CropConfig):
    """A run of a peer by another class than its row in the table of methods names. path: "module:Class"."""

    path: str = ""

    @property
    def parts(self) -> Method:
        """The method's row with this class."""
        row = METHODS[self.method]
        return replace(row, compressor=self.path) if row.compressor else replace(row, pruner=self.path)


def candidate(peer: str, setting: type) -> Candidate:
    """A class of this peer as a candidate of `benchmarks.search`."""
    return Candidate(PeerConfig(peer, None, path=f"{setting.__module__}:{setting.__qualname__}"))


def table(peers: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: exact answers by budget and over all, the difference from the peer's first setting, and KL."""
    head = ["method", "setting", *(f"{budget:g} tokens" for budget in BUDGETS), "all three", "difference", "KL"]
    rows = []
    for peer, settings in peers.items():
        for place, (name, result) in enumerate(settings.items()):
            exact, nats = result["all"]["exact"], result["all"]["kl"]
            shares = [
                f"{result[column]['exact']['mean']:.1%}" for column in (*(f"{each:g}" for each in BUDGETS), "all")
            ]
            more = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * each for each in exact["more"])) if place else ""
            rows.append(["" if place else METHODS[peer].title, name, *shares, more, f"{nats['mean']:.3f}"])
    return markdown(head, rows)


def compared(runner: CandidateRunner, peer: str, items: Sequence[Item]) -> dict[str, Any]:
    """By setting the figures of `benchmarks.search`, compared with the peer's first."""
    scores = runner.ask(items, {name: candidate(peer, setting) for name, setting in CANDIDATES[peer].items()})
    first, scenes = next(iter(scores.values())), [item.seed for item in items]
    return {name: figures(own, first, scenes) for name, own in scores.items()}


def _report(out: Path, questions: int) -> dict[str, Any]:
    """What is written, with the peers that were measured on as many questions before."""
    before = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    return {
        **benchmark_environment("python -m benchmarks.peer_search", "cpu, one thread"),
        "seed": splits.PEER_SEARCH.start,
        "questions": questions,
        "peers": before["peers"] if before.get("questions") == questions else {},
    }


def main() -> None:
    """Search, print, write after every peer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_search", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=12, help="development questions of each kind")
    again = "these only, and keep what was measured of the others on as many questions"
    parser.add_argument(
        "--peers", nargs="+", choices=CANDIDATES, default=list(CANDIDATES), metavar="METHOD", help=again
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    runner = CandidateRunner(load(DEFAULT_MODEL, "cpu"), WholeImage())
    items = held_out(options.per_kind, splits.PEER_SEARCH)
    report = _report(options.out, len(items))
    for peer in options.peers:
        report["peers"][peer] = compared(runner, peer, items)
        report["peers"] = {each: report["peers"][each] for each in CANDIDATES if each in report["peers"]}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{table(report['peers'])}\n\nwritten to {options.out}\n")


if __name__ == "__main__":
    main()
