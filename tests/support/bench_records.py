"""Made-up records of a sweep, with accuracies that are known because they are given. No model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.evaluate.runner.work import Record

VISUAL, LAYERS = 576, 12
KINDS = ("color", "count", "text")
CHANCES = {  # of a right answer at 192, 128 and 64 tokens, as such methods have
    "crop": (0.958, 0.942, 0.933),
    "fastv": (0.70, 0.573, 0.703),
    "random": (0.935, 0.897, 0.80),
    "divprune": (0.957, 0.957, 0.938),
}
BUDGETS = ("192", "128", "64")


def trials(methods: Mapping[str, Sequence[float]], budgets: Sequence[str]) -> dict[Trial, float]:
    """The chance of a right answer in every trial, all tokens and blind among them."""
    pruned = {
        Trial(name, budget): chance
        for name, row in methods.items()
        for budget, chance in zip(budgets, row, strict=True)
    }
    return {ALL: 0.957, BLIND: 0.168, **pruned}


def record(example: str, trial: Trial, score: float = 1.0, **changed: Any) -> Record:
    """One row: right and as with every token, unless something else is said."""
    tokens = float(trial.budget) if trial.budget and "%" not in trial.budget else float(VISUAL)
    share = tokens / VISUAL
    values: dict[str, Any] = {
        "dataset": "made up",
        "example": example,
        "group": "",
        "kind": "color",
        "gold": "red",
        "trial": trial.name,
        "method": trial.method,
        "budget": trial.budget,
        "seed": trial.seed,
        "region": trial.region,
        "evict": trial.evict,
        "blind": trial.blind,
        "reply": "red" if score else "blue",
        "score": score,
        "same": bool(score),
        "kl_first": 0.0 if trial == ALL else 0.01 / share,
        "logprob": -0.1 if trial == ALL else -0.1 - 0.02 / share,
        "visual_tokens": VISUAL,
        "mean_tokens": tokens,
        "final_tokens": round(tokens * 0.8),
        "kv_bytes": int(4.4e6 * share),
        "ttft_s": 0.03 + 0.1 * share,
        "total_s": 0.05 + 0.1 * share,
        "flops": int(6e9 * share),
        "everything": False,
        "confidence": 0.9 if trial.budget else float("nan"),
        **dict.fromkeys(("x0", "y0", "x1", "y1"), 3),
        **dict.fromkeys(("need_x0", "need_y0", "need_x1", "need_y1"), 3),
        **dict.fromkeys(("localizer_s", "encode_s", "compression_s", "scoring_s"), 0.005),
    }
    return Record(**{**values, **changed})


def frame(rows: Sequence[Record]) -> pd.DataFrame:
    """Records as a reader of the files gives them."""
    return pd.DataFrame([vars(row) for row in rows])


def records(
    chances: Mapping[Trial, float] | None = None,
    questions: int = 60,
    per_image: int = 1,
    kinds: Sequence[str] = KINDS,
    seed: int = 0,
) -> pd.DataFrame:
    """Every question in every trial, right by the chance of the trial; hard questions are hard for all trials alike,
    and questions of one image are about as hard as each other.
    """
    rng = np.random.default_rng(seed)
    rows = []
    images = np.repeat(rng.normal(size=-(-questions // per_image)), per_image)[:questions]
    hard = np.sqrt(0.5) * images + np.sqrt(0.5) * rng.normal(size=questions)
    for trial, chance in (trials(CHANCES, BUDGETS) if chances is None else chances).items():
        mixed = np.sqrt(0.7) * hard + np.sqrt(0.3) * rng.normal(size=questions)
        right = mixed < np.quantile(rng.normal(size=4000), chance)
        rows += [
            record(
                f"q{index:04}",
                trial,
                float(right[index]),
                kind=kinds[index % len(kinds)],
                group=f"image {index // per_image}" if per_image > 1 else "",
            )
            for index in range(questions)
        ]
    return frame(rows)
