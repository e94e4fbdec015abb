import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crop_core.records.formatting import format_bytes, format_flops, format_number
from crop_core.records.region import Region
from crop_core.records.results import TokenProb
from tests.support.fake_records import answer, comparison, trace
from ui.views import texts

REGION = Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)


@pytest.mark.parametrize(
    ("base", "crop", "kind", "expected"),
    [
        (576, 192, "amount", ("67 % less", "gain")),
        (100, 150, "amount", ("50 % more", "loss")),
        (100, 100, "amount", ("no change", "same")),
        (0.2, 0.1, "time", ("2.00× faster", "gain")),
        (0.1, 0.2, "time", ("2.00× slower", "loss")),
        (0.100, 0.101, "time", ("about the same", "same")),
        (0, 0, "amount", ("no change", "same")),
    ],
)
def test_change_says_loss_and_gain(base: float, crop: float, kind: str, expected: tuple[str, str]) -> None:
    assert texts.change(base, crop, kind) == expected


def by_key(result) -> dict[str, dict]:
    return {row["key"]: row for row in texts.readouts(result)}


def test_every_asked_figure_is_there_with_an_explanation() -> None:
    rows = by_key(comparison())
    assert list(rows) == ["mean_tokens", "final_tokens", "ttft", "total", "kv", "peak", "flops", "weights"]
    assert all(row["explain"].endswith(".") for row in rows.values())


def test_token_readouts_are_those_of_the_trace() -> None:
    result = comparison()
    rows = by_key(result)
    assert rows["final_tokens"]["crop"] == str(result.crop.trace.final_tokens)
    assert rows["mean_tokens"]["crop"] == format_number(result.crop.trace.mean_tokens)
    assert rows["mean_tokens"]["baseline"] == "576"


def test_the_localizer_is_in_every_total_that_it_has_a_part_in() -> None:
    result = comparison()
    rows, cost = by_key(result), result.crop.cost
    assert rows["flops"]["crop"] == format_flops(cost.flops + cost.localizer_flops)
    assert rows["weights"]["crop"] == format_bytes(cost.weights_bytes + cost.localizer_weights_bytes)
    assert {key for key, row in rows.items() if row["localizer"]} == {"ttft", "total", "flops", "weights"}
    assert rows["total"]["bars"]["localizer"] == pytest.approx(cost.localizer_s / result.baseline.cost.total_s)


def test_a_slower_run_is_called_slower() -> None:
    result = comparison(slower=True)
    assert by_key(result)["total"]["tone"] == "loss"
    assert any("slower" in line for line in texts.notices(result))


def test_a_faster_run_has_no_such_notice() -> None:
    assert texts.notices(comparison()) == []


def test_a_run_that_removes_nothing_claims_no_token_savings() -> None:
    whole = trace(REGION, plc=False, keep=())
    rows = by_key(comparison(trace=whole, slower=True))
    assert rows["mean_tokens"]["change"] == rows["final_tokens"]["change"] == "no change"
    assert texts.reduces_nothing(comparison(trace=whole))


def test_unknown_words_and_the_engines_notices_are_told_once() -> None:
    lines = texts.notices(comparison(unknown_words=["xylophone"], notices=["A note.", "A note."]))
    assert lines.count("A note.") == 1
    assert any("“xylophone”" in line for line in lines)


def test_verdict_of_the_same_answer() -> None:
    said = texts.verdict(comparison())
    assert (said["tone"], said["title"]) == ("same", "Same answer")
    assert len(said["lines"]) == 2
    assert "points less" in said["lines"][0]
    assert "KL 0.0042 nats" in said["lines"][1]


def test_a_method_that_is_not_crop_is_called_by_its_name() -> None:
    result = comparison(method="fastv", changed=True, slower=True)
    said = [texts.verdict(result)["title"], *texts.verdict(result)["lines"], *texts.notices(result)]
    assert said[0] == "FastV changed the answer"
    assert "with FastV" in said[1]
    assert not any("CROP" in line or "localizer" in line for line in said)
    assert "localizer" not in texts.run_notes(result)["crop"]
    assert "with the localizer" in texts.run_notes(comparison())["crop"]


def test_two_methods_joined_are_called_by_both_names() -> None:
    result = comparison(method="random+dart", changed=True, slower=True)
    assert texts.verdict(result)["title"] == "Random + DART changed the answer"
    assert "localizer" not in texts.run_notes(result)["crop"]
    assert "with the localizer" in texts.run_notes(comparison(method="plc+dart"))["crop"]


def test_verdict_of_a_changed_answer_tells_both_ways() -> None:
    said = texts.verdict(comparison(changed=True))
    assert said["tone"] == "changed"
    assert "“rabbit”" in said["lines"][0]
    assert "“turtle”" in said["lines"][1]


def test_a_long_answer_is_judged_per_token_and_quoted_in_part() -> None:
    long = answer("w " * 60, trace(REGION), True, 0.5, 0.5)
    tokens = [TokenProb("w", math.log(0.5), math.log(0.25))] * 60
    line = texts.shift_line(type(long)(long.text, tokens, long.cost, long.traces), "here", "there")
    assert "probability per token 50.0 % here, 25.0 % there (25.0 points less)" in line
    assert "…" in line
    assert len(line) < 160


@pytest.mark.parametrize(
    ("value", "word"), [(0.0, "not moved"), (0.01, "hardly"), (0.5, "clearly"), (math.inf, "strongly")]
)
def test_kl_in_words(value: float, word: str) -> None:
    assert word in texts.kl_line(value)


def test_a_missing_probability_is_no_probability() -> None:
    assert texts.joint([TokenProb("a", -0.1, None)], "other_logprob") == 0.0
    assert texts.joint([], "logprob") == 0.0


def test_the_end_of_the_answer_is_named() -> None:
    chips = texts.token_chips(comparison().baseline.tokens, "here", "there")
    assert [chip["text"] for chip in chips] == ["rabbit", "(end)"]
    assert np.isclose(chips[0]["own"], 0.94)


def test_a_localizer_without_weights_of_its_own_has_its_share_of_the_time() -> None:
    result = comparison()
    cost = replace(result.crop.cost, localizer_weights_bytes=0, localizer_s=0.25)
    for flops, said in ((10**9, "250 ms of it is the localizer"), (0, "")):
        told = replace(result.crop, cost=replace(cost, localizer_flops=flops))
        rows = {row.key: row for row in texts.cost_readouts(replace(result, crop=told))}
        assert rows["ttft"].localizer == rows["total"].localizer == said


def test_the_page_and_the_readme_say_the_same_of_the_bundled_models() -> None:
    known, _, _ = texts.WORLD.partition(" On photographs")
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert known in " ".join(readme.split())
