import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from crop_core.models import DEFAULT_MODEL, load
from crop_core.records.formatting import format_bytes, format_flops, format_number
from crop_core.records.region import Region
from crop_core.records.results import TokenProb
from tests.support.fake_records import (
    answer,
    comparison,
    measured,
    padded_trace,
    trace,
    without_localizer,
    without_peaks,
)
from ui.page.layout import tried
from ui.views import readouts, texts

REGION = Region(2, 1, 4, 3, 336, 336, "predicted", 0.83)


@pytest.mark.parametrize(
    ("base", "crop", "expected"),
    [
        (576, 192, ("67 % less", "gain")),
        (100, 150, ("50 % more", "loss")),
        (100, 100, ("no change", "same")),
        (0, 0, ("no change", "same")),
    ],
)
def test_change_says_loss_and_gain(base: float, crop: float, expected: tuple[str, str]) -> None:
    assert readouts.change(base, crop) == expected


def by_key(result) -> dict[str, dict]:
    return {row["key"]: row for row in readouts.readouts(result)}


def test_every_asked_figure_is_there_with_an_explanation() -> None:
    rows = by_key(comparison())
    assert list(rows) == ["mean_tokens", "final_tokens", "kv", "flops", "weights", "ttft", "total", "peak"]
    assert [key for key, row in rows.items() if row["measured"]] == ["ttft", "total", "peak"]
    assert all(row["explain"].endswith(".") for row in rows.values())


def test_times_have_whiskers_and_a_headline_once_they_are_measured() -> None:
    rows = by_key(comparison())
    assert rows["ttft"]["change"] == "" and rows["ttft"]["whiskers"] == rows["ttft"]["ranges"] == {}
    rows = by_key(comparison().measured(measured()))
    assert (rows["ttft"]["change"], rows["ttft"]["tone"]) == ("1.5× faster", "gain")
    for run in ("baseline", "crop"):
        low, high = rows["ttft"]["whiskers"][run]
        assert 0 < low < rows["ttft"]["bars"][run] < high <= 1
    assert rows["ttft"]["ranges"]["baseline"] == "128 ms to 134 ms"
    noisy = by_key(comparison().measured(measured(crop=(1, 1.6, 0.98, 1.01, 0.99))))
    assert (noisy["ttft"]["change"], noisy["ttft"]["tone"]) == ("no difference measurable here", "same")


def test_peak_memory_is_told_once_it_is_measured() -> None:
    fresh = without_peaks(comparison())
    peak = by_key(fresh)["peak"]
    assert (peak["baseline"], peak["crop"], peak["change"]) == ("–", "–", "") and "not measured" in peak["explain"]
    assert by_key(fresh.measured(measured(peaks=())))["peak"]["crop"] == "–"
    assert by_key(fresh.measured(measured()))["peak"]["change"] == "49 % less"


def test_padding_is_told_where_there_is_any() -> None:
    assert "padding" not in by_key(comparison())["mean_tokens"]["explain"]
    assert "192 of the 576 tokens are padding" in by_key(comparison(trace=padded_trace()))["mean_tokens"]["explain"]


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


def test_a_slower_run_is_called_slower_without_a_cause() -> None:
    result = comparison(slower=True).measured(measured(crop=(3, 3.1, 2.9, 3, 3)))
    assert by_key(result)["total"]["tone"] == "loss"
    assert texts.notices(result) == texts.notices(comparison()) == []


def test_a_run_that_removes_nothing_claims_no_token_savings() -> None:
    whole = trace(REGION, plc=False, keep=())
    rows = by_key(comparison(trace=whole, slower=True))
    assert rows["mean_tokens"]["change"] == rows["final_tokens"]["change"] == "no change"


def test_unknown_words_and_the_engines_notices_are_told_once() -> None:
    lines = texts.notices(comparison(unknown_words=["xylophone"], notices=["A note.", "A note."]))
    assert lines.count("A note.") == 1
    assert any("“xylophone”" in line for line in lines)


def test_verdict_of_the_same_answer() -> None:
    verdict = texts.verdict_lines(comparison())
    assert (verdict["tone"], verdict["title"]) == ("same", "Same answer, about as sure")
    assert len(verdict["lines"]) == 2
    assert "points less" in verdict["lines"][0]
    assert "KL 0.0042 nats" in verdict["lines"][1]


def test_a_method_that_is_not_crop_is_called_by_its_name() -> None:
    result = comparison(method="fastv", changed=True, slower=True)
    sentences = [texts.verdict_lines(result)["title"], *texts.verdict_lines(result)["lines"], *texts.notices(result)]
    assert sentences[0] == "FastV changed the answer"
    assert "with FastV" in sentences[1]
    assert not any("CROP" in line or "localizer" in line for line in sentences)
    assert "localizer" not in texts.run_notes(result)["crop"]
    assert "with the localizer" in texts.run_notes(comparison())["crop"]


@pytest.mark.parametrize(
    ("method", "heading"),
    [
        ("crop", "With CROP, 128 of 576"),
        ("ilp", "With ILP alone, 128 of 576"),
        ("plc+fastv", "With PLC + FastV, 128 of 576"),
        ("none", "The baseline again"),
    ],
)
def test_a_heading_says_which_method_and_budget_ran(method: str, heading: str) -> None:
    assert texts.heading(comparison(method=method, budget="128 of 576 visual tokens per layer")) == heading
    left = texts.heading(comparison(method=method, budget="128 of 576 visual tokens left"))
    assert left == (heading if method == "none" else f"{heading} left")


def test_two_methods_joined_are_called_by_both_names() -> None:
    result = comparison(method="random+dart", changed=True, slower=True)
    assert texts.verdict_lines(result)["title"] == "Random + DART changed the answer"
    assert "localizer" not in texts.run_notes(result)["crop"]
    assert "with the localizer" in texts.run_notes(comparison(method="plc+dart"))["crop"]


def test_a_drawn_region_costs_no_localizer() -> None:
    result = comparison(slower=True)
    drawn = replace(result, crop=without_localizer(result.crop))
    assert "localizer" not in texts.run_notes(drawn)["crop"]


@pytest.mark.parametrize(
    ("own", "other", "change"),
    [(0.99834, 0.99858, "99.8 % here, 99.9 % there (0.1 points more)"), (0.998, 0.99804, "99.8 % there.")],
)
def test_the_difference_is_that_of_the_numbers_shown(own: float, other: float, change: str) -> None:
    assert change in texts.shift_line(answer("17", trace(REGION), True, own / 0.998, other / 0.997), "here", "there")


def test_verdict_of_a_changed_answer_tells_both_ways() -> None:
    verdict = texts.verdict_lines(comparison(changed=True))
    assert verdict["tone"] == "changed"
    assert "“rabbit”" in verdict["lines"][0]
    assert "“turtle”" in verdict["lines"][1]


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


def test_the_end_of_the_answer_is_named() -> None:
    chips = texts.token_chips(comparison().baseline.tokens, "here", "there")
    assert [chip["text"] for chip in chips] == ["rabbit", "(end)"]
    assert (chips[0]["own"], chips[0]["other"]) == ("94.0 %", "91.0 %")
    assert [chip["folded"] for chip in chips] == [False, True]
    alike = texts.token_chips([TokenProb("a", math.log(0.9), math.log(0.9))], "here", "there")
    assert (alike[0]["own"], alike[0]["other"]) == ("90.0 %", ""), "one number is not told twice"


def test_a_localizer_without_weights_of_its_own_has_its_share_of_the_time() -> None:
    result = comparison()
    cost = replace(result.crop.cost, localizer_weights_bytes=0, localizer_s=0.25)
    for flops, share in ((10**9, "250 ms of it is the localizer"), (0, "")):
        run = replace(result.crop, cost=replace(cost, localizer_flops=flops))
        rows = {row.key: row for row in readouts.measured_readouts(replace(result, crop=run))}
        assert rows["ttft"].localizer == rows["total"].localizer == share


def test_the_page_and_the_readme_say_the_same_of_the_bundled_models() -> None:
    known, _, _ = texts.WORLD.partition(" On photographs")
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert known in " ".join(readme.split())


def test_the_bundled_model_knows_every_word_of_the_questions_to_try() -> None:
    adapter = load(DEFAULT_MODEL, "cpu")
    assert [word for question in texts.TRY for word in adapter.unknown_words(question)] == []


@pytest.mark.parametrize("data", [{"index": 6}, {"index": -1}, {"index": "0"}, {}, None, [0]])
def test_a_question_to_try_is_chosen_by_its_number_alone(data: object) -> None:
    event = SimpleNamespace(_data=data)
    assert tried(event) == gr.skip()
    assert tried(SimpleNamespace(_data={"index": 0})) == texts.TRY[0]
