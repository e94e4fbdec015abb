"""The verdict in its tones, the same wherever it is told."""

import math
from dataclasses import replace

import pytest

from crop_core.records.comparison_table import comparison_table
from crop_core.records.results import TokenProb
from crop_core.records.verdict import agreement, is_less_sure, joint, per_token, verdict, verdict_of_run
from tests.support.fake_records import comparison, run_result
from ui.export.report import facts
from ui.views.texts import verdict_lines


def with_probabilities(before, after, **fields):
    """A comparison whose baseline's answer has this probability before and after, in so many tokens."""
    tokens = fields.pop("tokens", 1)
    result = comparison(**fields)
    each = [TokenProb("rabbit", math.log(before), math.log(after))] * tokens
    return replace(result, baseline=replace(result.baseline, tokens=each))


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        (0.96, 0.25, True),
        (0.96, 0.72, False),
        (0.96, 0.70, True),  # 26 points
        (0.30, 0.16, False),
        (0.30, 0.14, True),  # less than half
        (0.25, 0.25, False),
        (0.50, 0.99, False),
        (0.01, 0.004, True),
    ],
)
def test_much_less_sure_is_a_quarter_less_or_half_as_likely(before, after, less):
    assert is_less_sure(before, after) is less
    assert verdict(with_probabilities(before, after)) == ("less_sure" if less else "same")


def test_every_place_tells_the_same_tone():
    for result, tone, words in (
        (with_probabilities(0.96, 0.9), "same", "same answer, about as sure"),
        (with_probabilities(0.96, 0.25), "less_sure", "same answer, but much less sure"),
        (with_probabilities(0.96, 0.25, changed=True), "changed", "answer changed"),
        (with_probabilities(0.96, 0.9, unfamiliar=True), "guess", "same answer; both answers are guesses"),
        (with_probabilities(0.9, 0.1, unfamiliar=True, changed=True), "guess", "changed; both answers are guesses"),
    ):
        assert result.verdict == result.to_json()["verdict"] == verdict_lines(result)["tone"] == tone
        assert words in agreement(result) and agreement(result) == facts(result)["verdict"]
        assert agreement(result) in comparison_table(result)
        title = verdict_lines(result)["title"].lower()
        assert title == agreement(result).replace("answer changed", "crop changed the answer")


def test_a_long_answer_is_judged_by_a_token():
    assert verdict(with_probabilities(0.9, 0.8, tokens=30)) == "same", "although all of it is far less likely"
    assert verdict(with_probabilities(0.9, 0.4, tokens=30)) == "less_sure"


def test_one_of_several_runs_has_a_tone_too():
    baseline = run_result("Baseline", "none", answer_probability=0.96)
    assert verdict_of_run(run_result(answer_probability=0.9), baseline) == "same"
    assert verdict_of_run(run_result(answer_probability=0.25), baseline) == "less_sure"
    assert verdict_of_run(run_result(answer_probability=0.9, same=False), baseline) == "changed"
    long = replace(baseline, text="one two three four five")
    assert verdict_of_run(run_result(answer_probability=0.1), long) == "same", "its text alone is judged"


def test_a_missing_probability_is_no_probability():
    tokens = [TokenProb("a", -0.1, None)]
    assert joint(tokens, "other_logprob") == per_token(tokens, "other_logprob") == joint([], "logprob") == 0.0
