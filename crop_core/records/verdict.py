"""Verdict of a comparison in three tones, the same in page, report, command line, JSON and figures.

same: the same text, about as sure. less_sure: the same text, and its probability under pruning is at least LESS_POINTS
lower or less than LESS_SHARE of the baseline's. changed: another text. guess: whatever the texts, an image is unlike
those of the model's training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crop_core.records.results import Answer, Comparison, RunResult, TokenProb

SHORT_ANSWER = 4  # words or tokens; longer answers are compared word by word, and by the probability of a token
LESS_POINTS, LESS_SHARE = 0.25, 0.5
SAME, LESS_SURE, CHANGED, GUESS = "same", "less_sure", "changed", "guess"
GUESSES = "both answers are guesses"


def joint(tokens: Sequence[TokenProb], field: str) -> float:
    """Joint probability of an answer's tokens; 0 when a log-probability is missing."""
    values = [getattr(token, field) for token in tokens]
    return math.exp(sum(values)) if values and None not in values else 0.0


def per_token(tokens: Sequence[TokenProb], field: str) -> float:
    """Geometric mean of the tokens' probabilities, comparable for answers of any length."""
    values = [getattr(token, field) for token in tokens]
    return math.exp(sum(values) / len(values)) if values and None not in values else 0.0


def is_long(answer: Answer) -> bool:
    """Whether the answer is judged by the probability of a token, not by that of the whole text."""
    return len(answer.tokens) > SHORT_ANSWER


def both_probabilities(answer: Answer) -> tuple[float, float]:
    """Probability of an answer in its own run and in the other one: per token for a long answer."""
    judged = per_token if is_long(answer) else joint
    return judged(answer.tokens, "logprob"), judged(answer.tokens, "other_logprob")


def is_less_sure(before: float, after: float) -> bool:
    """Whether a probability fell from `before` to `after` by much, as this module says."""
    return before - after >= LESS_POINTS or after < LESS_SHARE * before


def verdict(result: Comparison) -> str:
    """SAME, LESS_SURE, CHANGED or GUESS."""
    if result.unfamiliar:
        return GUESS
    if not result.same:
        return CHANGED
    return LESS_SURE if is_less_sure(*both_probabilities(result.baseline)) else SAME


def verdict_of_run(run: RunResult, baseline: RunResult) -> str:
    """SAME, LESS_SURE or CHANGED for one of several runs; a long answer is judged by its text alone."""
    if not run.same:
        return CHANGED
    short = len(baseline.text.split()) <= SHORT_ANSWER
    return LESS_SURE if short and is_less_sure(baseline.answer_probability, run.answer_probability) else SAME


def agreement(result: Comparison) -> str:
    """The verdict in words; of changed answers of several words, how far they are the same."""
    tone, (first, words) = verdict(result), result.same_words
    same = "same answer as far as both go" if result.baseline.cut else "same answer"
    changed = f"answer changed, the same for {first} of {words} words" if words > SHORT_ANSWER else "answer changed"
    said = same if result.same else changed
    further = {SAME: ", about as sure", LESS_SURE: ", but much less sure", GUESS: f"; {GUESSES}"}
    return said + further.get(tone, "")
