"""`python -m benchmarks.search`: successive halving over CROP settings, compared with the default (REFERENCE).

The candidates are compared on development questions in rounds; after each, the worse half of every group (pooling or
selection, with or without ILP) is dropped, and the others get as many questions again. The best of every group is then
compared with the reference on other questions, paired. Neither set is the benchmark's. Printed and written to
benchmarks/results/search.json.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from tqdm import tqdm

from crop_core.engine.compare import first_token_kl, logits_of
from crop_core.engine.session import Session, watches
from crop_core.evaluate.report.statistics import paired
from crop_core.evaluate.report.table import markdown
from crop_core.localize import Localizer, localizer_for
from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL, Adapter, load
from crop_core.records.config import Budget, CropConfig, IlpConfig, PlcConfig, Ring
from crop_core.records.environment import benchmark_environment
from crop_core.records.methods import METHODS
from crop_core.records.region import GRID, Region
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out

POOLING, SELECTION = "plc", "distinct"  # methods before the LLM


@dataclass(frozen=True)
class Candidate:
    """config: without its budget. margin: by how many cells a region whose confidence is below `unsure` grows on every
    side.
    """

    config: CropConfig
    margin: int = 0
    unsure: float = math.inf

    @property
    def sort(self) -> tuple[bool, bool]:
        """The group it is ranked in: whether it pools, and whether ILP follows."""
        return self.config.parts.compressor == METHODS[POOLING].compressor, self.config.parts.pruner is not None

    def region(self, predicted: Region) -> Region:
        """The predicted region, grown by the margin if its confidence is low."""
        margin, last = self.margin if (predicted.confidence or 0) < self.unsure else 0, GRID - 1
        return replace(
            predicted,
            x0=max(0, predicted.x0 - margin),
            y0=max(0, predicted.y0 - margin),
            x1=min(last, predicted.x1 + margin),
            y1=min(last, predicted.y1 + margin),
        )


def both(
    method: str, overshoot: float, ilp: IlpConfig | None = None, margin: int = 0, unsure: float = math.inf
) -> Candidate:
    """A method before the LLM, followed by ILP."""
    config = CropConfig(f"{method}+ilp", None, PlcConfig(overshoot=overshoot), ilp or IlpConfig())
    return Candidate(config, margin, unsure)


def alone(method: str, ratios: tuple[float, float, float] | None = None) -> Candidate:
    """The same without ILP; ratios: instead of those of the default rings."""
    plc = PlcConfig()
    if ratios is not None:
        plc = PlcConfig(tuple(Ring(ring.width, ratio) for ring, ratio in zip(plc.rings, ratios, strict=True)))
    return Candidate(CropConfig(method, None, plc))


REFERENCE = "plc x2 + ilp"  # CROP's default before the search
CANDIDATES = {
    REFERENCE: both(POOLING, 2),
    "plc x1.5 + ilp": both(POOLING, 1.5),
    "plc x1.33 + ilp": both(POOLING, 4 / 3),
    "plc x1.2 + ilp": both(POOLING, 1.2),
    "plc x1.33 + ilp, margin 1": both(POOLING, 4 / 3, margin=1),
    "plc x1.33 + ilp, whole if unsure": both(POOLING, 4 / 3, margin=GRID, unsure=0.9),
    "plc": alone(POOLING),
    "distinct x2 + ilp": both(SELECTION, 2),
    "distinct x1.33 + ilp": both(SELECTION, 4 / 3),
    "distinct x1.2 + ilp": both(SELECTION, 1.2),
    "distinct x1.2 + ilp, 1 row": both(SELECTION, 1.2, IlpConfig(query_rows=1)),
    "distinct": alone(SELECTION),
    "distinct, flat rings": alone(SELECTION, (16, 16, 16)),
    "divprune": alone("divprune"),
}


RESULTS = Path("benchmarks/results/search.json")
BUDGETS = (192.0, 128.0, 64.0)
MAX_KL = 5.0  # nats; larger divergences count as this


@dataclass(frozen=True)
class Score:
    """kl: KL(baseline || candidate) of the first token in nats, at most MAX_KL. exact: whether greedy decoding gives
    exactly the right answer.
    """

    kl: float
    exact: bool


Scores = dict[str, dict[float, list[Score]]]  # by candidate and budget, of every question in their order


class CandidateRunner:
    """Runs all candidates on each question in one session."""

    def __init__(self, adapter: Adapter, localizer: Localizer, budgets: Sequence[float] = BUDGETS) -> None:
        self.adapter, self.localizer, self.budgets = adapter, localizer, budgets

    def ask(self, items: Iterable[Item], candidates: Mapping[str, Candidate]) -> Scores:
        """Scores of every candidate at every budget."""
        result: Scores = {name: {budget: [] for budget in self.budgets} for name in candidates}
        for item in tqdm(items, f"{len(candidates)} candidates", mininterval=5):
            watch = watches((candidate.config for candidate in candidates.values()), self.adapter)
            session = Session(self.adapter, item.scene.image, item.question.text, max_new_tokens=1, watch=watch)
            (region,) = session.localize(self.localizer).regions
            gold, full = self._gold(item.question.answer), logits_of(session.baseline)
            for name, candidate in candidates.items():
                for budget in self.budgets:
                    task = session.task(replace(candidate.config, budget=Budget(mean_tokens=budget)))
                    run = session.run(task, candidate.region(region), forced=gold)
                    result[name][budget].append(score(logits_of(run), full, gold))
        return result

    def _gold(self, answer: str) -> list[int]:
        """Token ids of an answer and its end."""
        end = self.adapter.model.generation_config.eos_token_id
        own = self.adapter.tokenizer(answer, add_special_tokens=False).input_ids
        return [*own, end[0] if isinstance(end, list) else end]


def score(logits: torch.Tensor, full: torch.Tensor, gold: Sequence[int]) -> Score:
    """logits: (T, V) that led to the T right tokens `gold`. full: (1, V) with every visual token, for the first."""
    return Score(min(first_token_kl(full, logits), MAX_KL), logits.argmax(-1).tolist() == list(gold))


def overall(scores: Mapping[float, Sequence[Score]]) -> float:
    """Mean KL over all budgets and questions: candidates are ranked by it, lowest first."""
    return mean(each.kl for own in scores.values() for each in own)


def better_half(scores: Scores, candidates: Mapping[str, Candidate]) -> list[str]:
    """The reference, and the better half of every group of the others, at least one."""
    ranked = sorted((name for name in scores if name != REFERENCE), key=lambda name: overall(scores[name]))
    sorts: dict[tuple[bool, bool], list[str]] = {}
    for name in ranked:
        sorts.setdefault(candidates[name].sort, []).append(name)
    return [REFERENCE, *(name for sort in sorted(sorts) for name in sorts[sort][: max(1, len(sorts[sort]) // 2)])]


def halved(
    runner: CandidateRunner, candidates: Mapping[str, Candidate], items: Sequence[Item], first: int
) -> list[Scores]:
    """The rounds: of `first` items, then of twice as many as so far each, until all are used."""
    rounds: list[Scores] = []
    start, end, left = 0, first, list(candidates)
    while start < len(items):
        new = runner.ask(items[start:end], {name: candidates[name] for name in left})
        rounds.append({name: _joined(rounds[-1][name] if rounds else {}, own) for name, own in new.items()})
        start, end, left = end, min(2 * end, len(items)), better_half(rounds[-1], candidates)
    return rounds


def _joined(before: Mapping[float, list[Score]], new: Mapping[float, list[Score]]) -> dict[float, list[Score]]:
    return {budget: before.get(budget, []) + own for budget, own in new.items()}


def figures(
    scores: Mapping[float, Sequence[Score]], other: Mapping[float, Sequence[Score]], scenes: Sequence[int]
) -> dict[str, Any]:
    """By budget, and over "all" of them: exact answers and KL, and by how much both are above the other's. scenes: of
    every question, since questions of one scene are not independent.
    """
    columns = {f"{budget:g}": ([own], [other[budget]]) for budget, own in scores.items()}
    columns["all"] = ([*scores.values()], [other[budget] for budget in scores])
    return {
        name: {key: _compared(_by_question(mine, key), _by_question(theirs, key), scenes) for key in ("exact", "kl")}
        for name, (mine, theirs) in columns.items()
    }


def _by_question(runs: Sequence[Sequence[Score]], key: str) -> list[float]:
    """Means over runs of the same questions."""
    return [mean(float(getattr(each, key)) for each in row) for row in zip(*runs, strict=True)]


def _compared(own: Sequence[float], other: Sequence[float], scenes: Sequence[int]) -> dict[str, Any]:
    more = paired(own, other, scenes)
    return {"mean": mean(own), "more": (more.value, more.low, more.high)}


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: exact answers by budget, and by how much they and the KL are above the reference's."""
    cells = [[name, *(_cell(each) for each in by_budget.values())] for name, by_budget in rows.items()]
    return markdown(["settings", *next(iter(rows.values()))], cells)


def _cell(figures: Mapping[str, Any]) -> str:
    exact, (gain, low, high) = figures["exact"]["mean"], figures["exact"]["more"]
    nats, kl_low, kl_high = figures["kl"]["more"]
    return f"{exact:.1%} ({gain:+.1%}, {low:+.1%} to {high:+.1%}; {nats:+.3f} nats, {kl_low:+.3f} to {kl_high:+.3f})"


def short_table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: exact answers by budget, the mean KL over all, and by how much both are above the reference's."""
    head = ["settings", *(f"{budget:g} tokens" for budget in BUDGETS), "all three", "difference", "KL", "difference"]
    rows = []
    for name, result in runs.items():
        exact, nats = result["all"]["exact"], result["all"]["kl"]
        shares = [f"{result[column]['exact']['mean']:.1%}" for column in (*(f"{each:g}" for each in BUDGETS), "all")]
        gain = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * each for each in exact["more"]))
        rows.append([name, *shares, gain, f"{nats['mean']:.3f}", "{:+.3f} ({:+.3f} to {:+.3f})".format(*nats["more"])])
    return markdown(head, rows)


def summary(scores: Scores, items: Sequence[Item]) -> dict[str, Any]:
    """Number of questions of a round (the first of `items`), and all candidates compared with the reference."""
    scenes = [item.seed for item in items[: len(next(iter(scores[REFERENCE].values())))]]
    runs = {name: figures(own, scores[REFERENCE], scenes) for name, own in scores.items()}
    return {"questions": len(scenes), "runs": runs}


def main() -> None:
    """Search, report on other questions, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=16, help="development questions of each kind, in all rounds")
    parser.add_argument("--first", type=int, default=40, help="questions of the first round")
    parser.add_argument("--held-out", type=int, default=60, help="held-out questions of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    runner = CandidateRunner(load(DEFAULT_MODEL, "cpu"), localizer_for(load(DEFAULT_LOCALIZER, "cpu")))
    items = held_out(options.per_kind, splits.SEARCH_DEVELOPMENT)
    others = held_out(options.held_out, splits.SEARCH_HELD_OUT)
    rounds = halved(runner, CANDIDATES, items, options.first)
    report = {
        **benchmark_environment("python -m benchmarks.search", "cpu, one thread"),
        "seed": {"development": splits.SEARCH_DEVELOPMENT.start, "held_out": splits.SEARCH_HELD_OUT.start},
        "reference": REFERENCE,
        "settings": {name: repr(candidate) for name, candidate in CANDIDATES.items()},
        "rounds": [summary(scores, items) for scores in rounds],
    }
    _write(options.out, report)
    finalists = {name: CANDIDATES[name] for name in better_half(rounds[-1], CANDIDATES)}
    report["held_out"] = summary(runner.ask(others, finalists), others)
    _write(options.out, report)
    tables = [table(each["runs"]) for each in (*report["rounds"], report["held_out"])]
    sys.stdout.write("\n\n".join(tables) + f"\n\nwritten to {options.out}\n")


def _write(path: Path, report: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
