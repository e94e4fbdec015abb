import json
import math

import numpy as np
import pytest

from crop_core.evaluate.report import texts
from crop_core.evaluate.report.html import differences
from crop_core.evaluate.report.labels import method_label, run_label, style
from crop_core.evaluate.report.scores import MissedBudget
from crop_core.evaluate.report.significance import MCNEMAR, SIGN_FLIP
from crop_core.evaluate.report.statistics import BOOTSTRAP, wilson
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.report.table import full_table, kinds_table, methods_table, pairs_table, rivals_table
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.records.methods import METHODS
from tests.support.bench_records import BUDGETS, CHANCES, frame, record, records

CROP, FASTV = Trial("crop", "64"), Trial("fastv", "64")


def answers(*rows, kinds=("color",), **changed):
    """Records of questions q0, q1, ... : for each trial its scores."""
    return frame(
        [
            record(f"q{at}", trial, score, kind=kinds[at % len(kinds)], **changed)
            for trial, scores in rows
            for at, score in enumerate(scores)
        ]
    )


class Counting:
    """A metric whose official figures are easy to follow."""

    name, label = "counting", "counted"

    def score(self, reply, example):
        raise AssertionError("not asked here")

    def summary(self, rows):
        return {"rows": float(len(rows)), "seed": float(rows["seed"].iloc[0])}


@pytest.fixture(scope="module")
def large():
    return summarise(records(questions=240, per_image=4))


def test_a_run_by_hand():
    rows = answers((ALL, [1, 1, 1, 0]), (CROP, [1, 0, 1, 0]), kinds=("color", "count"))
    result = summarise(rows).of(CROP)
    assert (result.name, result.seeds, result.accuracy.value) == ("crop 64", 1, 0.5)
    assert (result.accuracy.low, result.accuracy.high) == wilson(0.5, 4)
    assert result.kept.value == pytest.approx(2 / 3)
    assert result.agreement.value == 0.5
    assert result.kl_first_mean == result.kl_first_median == pytest.approx(0.09)
    assert result.logprob_change == pytest.approx(-0.18)
    assert (result.mean_tokens, result.final_tokens) == (64, 51)
    assert {kind: each.value for kind, each in result.by_kind.items()} == {"color": 1, "count": 0}
    assert dict(result.kept_by_kind) == {"color": 1, "count": 0}
    assert (result.run, result.official) == (CROP, {})


def test_means_and_medians():
    rows = frame([record("a", ALL), *[record(f"{at}", ALL, ttft_s=at, kv_bytes=at) for at in (1, 2, 6)]])
    full = summarise(rows).full
    assert (full.ttft_s, full.kv_bytes) == (1.5, (4_400_000 + 9) / 4)


def test_the_seeds_of_a_question_count_once():
    seeded = [Trial("random", "64", seed) for seed in (0, 1)]
    rows = answers((ALL, [1, 1, 1]), (seeded[0], [1, 0, 0]), (seeded[1], [1, 1, 0]))
    result = summarise(rows, Counting())
    one = result.of(seeded[0])
    assert (result.questions, one.seeds, one.accuracy.value) == (3, 2, 0.5)
    assert one.accuracy.how == "cluster bootstrap", "1, 1/2 and 0 are three scores, not six answers"
    assert one.official == {"rows": 3, "seed": 0.5}, "once for each seed, then the mean"


def test_questions_of_one_image_are_one_cluster(large):
    assert (large.questions, large.clusters) == (240, 60)
    assert {run.accuracy.how for run in large.runs} == {"cluster bootstrap"}
    assert {pair.test for standing in large.standings for pair in standing.pairs} == {SIGN_FLIP}
    alone = summarise(records(questions=30))
    assert alone.clusters == 30
    assert {pair.test for standing in alone.standings for pair in standing.pairs} == {MCNEMAR}


def test_the_order_and_type_of_rows_change_nothing():
    rows = records(questions=24, per_image=3)
    mixed = rows.sample(frac=1, random_state=1).astype({"score": np.float32, "kl_first": np.float32})
    mixed = mixed.astype(dict.fromkeys(("trial", "method", "budget", "kind", "region", "group"), "category"))
    assert [run.accuracy for run in summarise(mixed).runs] == [run.accuracy for run in summarise(rows).runs]
    assert summarise(mixed).standings == summarise(rows).standings


def test_runs_are_in_the_order_of_the_methods(large):
    assert [run.name for run in large.runs[:5]] == ["baseline", "blind", "crop 192", "crop 128", "crop 64"]
    assert large.budgets == BUDGETS and large.methods == ("crop", "fastv", "random", "divprune")
    assert large.full.run == ALL and large.blind.run == BLIND


def test_a_missed_budget_is_not_summed_up():
    with pytest.raises(MissedBudget):
        summarise(frame([record("a", ALL), record("a", CROP, mean_tokens=80.0)]))


def test_standings_by_hand():
    """30 questions: crop right on all, divprune on all but 2 (p 0.5), fastv on all but 12 (p 2^-11)."""
    good, near, far = [1] * 30, [1] * 28 + [0] * 2, [0] * 12 + [1] * 18
    rows = answers((ALL, good), (CROP, good), (Trial("divprune", "64"), near), (FASTV, far))
    (standing,) = summarise(rows).standings
    assert (standing.budget, standing.best, standing.tied) == ("64", "crop", ("crop", "divprune"))
    pairs = {(pair.first, pair.second): pair for pair in standing.pairs}
    assert pairs["crop", "divprune"].p == 0.5 and not pairs["crop", "divprune"].differs
    assert pairs["crop", "fastv"].p == 2**-11
    assert pairs["crop", "fastv"].corrected == pytest.approx(3 * 2**-11), "the smallest of three"
    assert pairs["crop", "fastv"].difference == pytest.approx(0.4)
    assert pairs["crop", "fastv"].low < 0.4 < pairs["crop", "fastv"].high
    assert (
        texts.headline(summarise(rows))[1] == "At 64 tokens CROP is highest (100.0%), and ties for first with DivPrune."
    )


def test_other_regions_do_not_compete():
    rows = answers((ALL, [1, 1]), (CROP, [1, 0]), (Trial("crop", "64", region="reference"), [1, 1]), (FASTV, [0, 0]))
    result = summarise(rows)
    assert [run.name for run in result.competing] == ["crop 64", "fastv 64"]
    assert result.of(Trial("crop", "64", region="reference")).accuracy.value == 1


def test_where_another_method_wins_a_kind():
    """On count fastv is right 20 times and crop never; on color crop is."""
    crop, fastv = [1, 0] * 20, [0, 1] * 20
    result = summarise(answers((ALL, [1] * 40), (CROP, crop), (FASTV, fastv), kinds=("color", "count")))
    (pair,) = result.rivals["64"]
    assert (pair.kind, pair.first, pair.difference, pair.differs) == ("count", "fastv", 1, True)
    assert texts.headline(result)[-1] == "By kind, at 64 tokens, FastV on count (p <0.001) beat CROP."
    assert rivals_table(result).rows[0][:5] == ("64 tokens", "count", "FastV", "CROP", "+100.0")


def test_the_image_contribution_index():
    """Of four questions two need the image, one is right without it, and one wrong with it; of part scores the loss."""
    rows = answers((ALL, [1, 1, 1, 0]), (BLIND, [0, 0, 1, 1]))
    found = summarise(rows).contribution
    assert (found.value, found.low, found.high) == (0.5, *wilson(0.5, 4))
    assert "grey image 50.0% (image-contribution index 50.0%, 15.0% to 85.0%)" in texts.headline(summarise(rows))[0]
    part = summarise(answers((ALL, [1, 0.6, 0.2]), (BLIND, [0.4, 0.6, 0.5]))).contribution
    assert part.value == pytest.approx(0.2) and part.how == BOOTSTRAP
    assert summarise(rows).to_json()["contribution"]["value"] == 0.5
    without = summarise(answers((ALL, [1, 0]), (CROP, [1, 0])))
    assert without.contribution is None and texts.index(without) == ""


def test_the_most_frequent_answer():
    rows = answers((ALL, [1, 1, 1]), kinds=("color", "color", "count"))
    result = summarise(rows, majority={"color": " Red", "count": "2"})
    assert result.majority == {"": pytest.approx(2 / 3), "color": 1, "count": 0}
    assert kinds_table(result).rows[-1] == ("most frequent answer", "66.7%", "100.0%", "0.0%")


def test_nothing_right_with_every_token_keeps_an_unknown_share():
    result = summarise(answers((ALL, [0, 0]), (CROP, [0, 1])))
    assert math.isnan(result.of(CROP).kept.value)
    assert result.to_json()["runs"][1]["kept"]["value"] is None


def test_questions_of_a_single_image_count_as_one():
    result = summarise(answers((ALL, [1, 0]), (CROP, [1, 0]), (FASTV, [0, 0]), kinds=("",), group="one"))
    assert methods_table(result).rows[1] == ("CROP", "50.0%* (5% to 95%)", "", "51")
    assert texts.headline(result)[0] == "Baseline 50.0% (5.5% to 94.5%); made up, 2 questions, groups: 1."
    assert kinds_table(result).head == ("run", "all", "no kind (2)")
    assert result.rivals == {}, "there is one kind"


def test_json_has_plain_values_only(large):
    plain = json.loads(json.dumps(large.to_json(), allow_nan=False))
    assert plain["runs"][2]["name"] == "crop 192"
    assert plain["runs"][2]["accuracy"]["value"] == large.runs[2].accuracy.value
    assert plain["standings"][0]["tied"] == list(large.standings[0].tied)


def test_only_all_tokens_can_be_summed_up():
    result = summarise(frame([record("a", ALL)]))
    assert (result.budgets, result.standings, result.rivals) == ((), (), {})
    assert len(texts.headline(result)) == 1 and texts.definitions(result)


def test_tables(large):
    lines = methods_table(large).markdown().splitlines()
    assert len(lines) == 2 + 2 + len(CHANCES)
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        *("method", "192 tokens", "128 tokens", "64 tokens"),
        *("as published, %", "tokens after the last cut"),
    ]
    run = large.of(CROP)
    shown = f"{run.accuracy.value:.1%}{'*' if 'crop' in large.standings[2].tied else ''} ({run.accuracy.low:.0%} to"
    assert shown in lines[4]
    assert len(full_table(large).rows) == 2 + len(CHANCES) * 3
    assert len(pairs_table(large).rows) == 3 * 6
    for table in (full_table(large), kinds_table(large), pairs_table(large)):
        assert {len(row) for row in table.rows} == {len(table.head)}


def test_a_method_as_published_is_a_column_and_does_not_compete():
    paper = Trial("fastv@paper", "64")
    rows = answers((ALL, [1, 1]), (CROP, [1, 0]), (FASTV, [0, 0]), (paper, [1, 1]))
    result = summarise(rows)
    assert result.methods == ("crop", "fastv") and {run.run.method for run in result.competing} == {"crop", "fastv"}
    assert {name for pair in result.standings[0].pairs for name in (pair.first, pair.second)} == {"crop", "fastv"}
    shown = methods_table(result).rows
    assert [row[0] for row in shown] == ["Baseline", "CROP", "FastV"]
    assert [row[-2] for row in shown] == ["", "", "100.0"]
    assert "FastV as published 64" in [row[0] for row in full_table(result).rows]
    alone = methods_table(summarise(answers((ALL, [1, 1]), (paper, [1, 0])))).rows[1]
    assert (alone[:3], method_label("plc+fastv@paper")) == (("FastV", "", "50.0"), "PLC + FastV as published")


def test_a_table_cannot_be_broken_by_a_kind():
    lines = kinds_table(summarise(answers((ALL, [1]), kinds=("a|b\nc",)))).markdown().splitlines()
    assert len(lines) == 3 and r"a\|b c (1)" in lines[0]


def test_names_and_styles():
    assert method_label("plc+fastv") == "PLC + FastV" and method_label("unheard") == "unheard"
    assert (run_label(ALL), run_label(BLIND)) == ("Baseline", "blind")
    assert run_label(Trial("ilp", "25%", region="reference", evict=True)) == "ILP 25%, reference region, evicting"
    every = [name for name in METHODS if name != "none"]
    assert len({(style(name).marker, style(name).dash) for name in every}) == len(every), "told apart in grey"
    assert style("plc+fastv", ("crop", "plc+fastv")) != style("crop+x", ("plc+fastv", "crop+x"))


def test_questions_on_which_methods_differ():
    rows = answers((ALL, [1, 1, 0]), (CROP, [1, 0, 1]), (Trial("random", "64", 1), [1, 0, 0]), (FASTV, [1, 1, 0]))
    result = differences(rows, "64")
    assert [each.example for each in result] == ["q1", "q2"]
    assert [run.method for run in result[0].replies] == ["none", "crop", "fastv", "random"]
    assert result[0].replies[CROP] == ("blue", 0) and result[0].gold == "red"
