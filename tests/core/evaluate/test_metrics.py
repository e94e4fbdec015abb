"""Metrics against published examples, hand-computed figures and slow references."""

import itertools
import random
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from crop_core.evaluate.datasets.protocol import DatasetError, Example
from crop_core.evaluate.metrics.closed_ended import (
    COGNITION,
    PERCEPTION,
    chosen_letter,
    lenient_letter,
    mme_answer,
    says_neither,
    says_yes,
)
from crop_core.evaluate.metrics.registry import METRICS, metric
from crop_core.evaluate.metrics.text_match import distance
from crop_core.evaluate.metrics.vqa import textvqa_normal, vqa_normal


def score(name, reply, *answers):
    return metric(name).score(reply, Example("1", "?", answers, Path("a.png")))


def records(name, *rows):
    """(kind, group, gold, reply) as records of one run, scored by the metric; kinds as a Parquet file gives them."""
    table = pd.DataFrame(rows, columns=["kind", "group", "gold", "reply"]).assign(seed=0)
    table["score"] = [score(name, reply, gold) for gold, reply in zip(table["gold"], table["reply"], strict=True)]
    return table.astype({"kind": "category", "gold": "category", "reply": "category", "group": "category"})


def summary(name, *rows):
    return metric(name).summary(records(name, *rows))


def test_names_and_an_unknown_one():
    assert list(METRICS) == ["exact", "contains", "vqa", "textvqa", "anls", "yesno", "mme", "choice", "gqa"]
    assert all(METRICS[name].name == name and METRICS[name].label for name in METRICS)
    with pytest.raises(DatasetError, match=r"metric 'bleu' is not known; choose one of exact, .*gqa\.$"):
        metric("bleu")


def test_exact_answers():
    assert score("exact", " The  RED\ndog ", "cat", "the red dog") == 1
    assert score("exact", "red dog", "the red dog") == 0
    rows = [("a", "1", "x", "x"), ("a", "2", "x", "y"), ("b", "3", "x", "x"), ("b", "3", "x", "x")]
    assert summary("exact", *rows) == {"accuracy": 75, "a": 50, "b": 100}
    assert summary("exact", ("", "1", "x", "y")) == {"accuracy": 0}


@pytest.mark.parametrize(
    ("answer", "normal"),
    [  # each by a rule of vqaEval.py, some by its oddities
        ("The Dog", "dog"),
        ("a cat and an owl", "cat and owl"),
        ("two", "2"),
        ("None", "0"),
        ("ten dogs", "10 dogs"),
        ("eleven", "eleven"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("its", "its"),
        ("Im", "im"),
        ("yall'll", "y'all'll"),
        ("oclock", "o'clock"),
        ("red/blue", "red blue"),
        ("red, blue", "red blue"),
        ("red - blue-green", "red bluegreen"),
        ("1,000", "1000"),
        ("1,000 m/s", "1000 ms"),
        ("3.5", "3.5"),
        ("yes.", "yes"),
        ("Mr. Smith", "mr smith"),
        (".5", ".5"),
        ("50%", "50%"),
        ("new\nyork\tcity ", "new york city"),
        ("(left)", "left"),
    ],
)
def test_the_text_rules_of_vqa(answer, normal):
    assert vqa_normal(answer) == normal


def test_textvqa_treats_commas_question_marks_and_possessives_first():
    assert [textvqa_normal(text) for text in ("red,blue", "what?", "Joe's", "1,5 m")] == [
        "redblue", "what", "joe 's", "15 m",
    ]  # fmt: skip
    assert [vqa_normal(text) for text in ("red,blue", "Joe's")] == ["red blue", "joe's"]


def leave_one_out(reply, answers):
    """The definition, word by word: the mean over all subsets of one answer less."""
    subsets = list(itertools.combinations(answers, len(answers) - 1))
    return sum(min(1, subset.count(reply) / 3) for subset in subsets) / len(subsets)


@pytest.mark.parametrize(("people", "expected"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_vqa_accuracy_of_ten_people(people, expected):
    answers = ["yes"] * people + ["no"] * (10 - people)
    assert score("vqa", "Yes.", *answers) == pytest.approx(expected)
    assert score("vqa", "yes", *answers) == pytest.approx(leave_one_out("yes", answers))


@pytest.mark.parametrize("people", [1, 2, 3, 4, 9])
def test_vqa_accuracy_of_fewer_people_is_the_definition(people):
    rng = random.Random(people)
    for _ in range(20):
        answers = rng.choices(["yes", "no"], k=people)
        assert score("textvqa", "yes", *answers) == pytest.approx(leave_one_out("yes", answers))


@cache
def edits(a, b):
    """The distance by its recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


def test_levenshtein_distance():
    assert distance("kitten", "sitting") == 3
    rng = random.Random(0)
    for _ in range(100):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(7))) for _ in range(2))
        assert distance(a, b) == edits(a, b)


@pytest.mark.parametrize(
    ("reply", "answers", "expected"),
    [
        ("University of  CALIFORNIA", ["university of california"], 1),
        ("$ 1,000", ["$1,000", "1000"], 1 - 1 / 7),  # the nearest answer counts
        ("abcd", ["abxx"], 0.5),  # the threshold itself counts, as in the script
        ("abcde", ["abxxx"], 0),
        ("", ["a"], 0),
    ],
)
def test_anls(reply, answers, expected):
    assert score("anls", reply, *answers) == pytest.approx(expected)
    rows = [("form", "1", answers[0], answers[0]), ("table", "2", "abcd", "abxx")]
    assert summary("anls", *rows) == {"anls": 75, "form": 100, "table": 50}


@pytest.mark.parametrize(
    ("reply", "yes"),
    [
        ("Yes", True), ("No, there is none.", False), ("no", False), ("There is not. Yes", False), ("NO", True),
        ("Yes. No dog", True), ("nothing", True), ("", True), (" No\n", False),
    ],
)  # fmt: skip
def test_how_pope_reads_a_reply(reply, yes):
    assert says_yes(reply) is yes
    assert score("yesno", reply, "yes") == yes
    assert score("yesno", reply, "no") == (not yes)


def test_pope_by_hand():
    replies = {"random": ("yes", "yes", "yes", "no", "no"), "popular": ("no", "no", "no", "no", "no")}
    gold = ("yes", "yes", "no", "yes", "no")
    rows = [
        (kind, "p", right, reply)
        for kind, answers_of in replies.items()
        for right, reply in zip(gold, answers_of, strict=True)
    ]  # fmt: skip
    result = summary("yesno", *rows)
    # random: 2 hits, 1 false alarm, 1 miss: precision = recall = F1 = 2/3, accuracy 3/5. popular: never yes, 2 of 5.
    assert result == pytest.approx(
        {
            "f1": 100 / 3, "accuracy": 50, "precision": 100 / 3, "recall": 100 / 3, "yes ratio": 30,
            "neither": 0, "random f1": 200 / 3, "popular f1": 0, "random accuracy": 60, "popular accuracy": 40,
        }
    )  # fmt: skip
    assert next(iter(result)) == "f1"


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        ("Yes", "yes"), ("no.", "no"), ("NO, it", "no"), ("Not", "no"), ("know", "no"), (" yes", "yes"),
        ("It is yes", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_how_mme_reads_a_reply(reply, meaning):
    assert mme_answer(reply) == meaning
    assert score("mme", reply, "yes") == (meaning == "yes")


def test_mme_gives_at_most_200_points_a_subtask_2000_and_800_in_all():
    rows = [
        (kind, f"{kind}/{image}", gold, gold)
        for kind in (*PERCEPTION, *COGNITION)
        for image in range(2)
        for gold in ("yes", "no")
    ]
    result = summary("mme", *rows)
    assert list(result.items())[:3] == [("total", 2800), ("perception", 2000), ("cognition", 800)]
    assert all(result[kind] == 200 for kind in (*PERCEPTION, *COGNITION))


def test_mme_by_hand():
    rows = [
        ("color", "color/a", "yes", "Yes"), ("color", "color/a", "no", "Yes"),  # one of two
        ("color", "color/b", "yes", "Yes"), ("color", "color/b", "no", "No"),
        ("OCR", "OCR/a", "yes", "maybe"), ("OCR", "OCR/a", "no", "No"),
        ("code_reasoning", "code_reasoning/a", "yes", "Yes"), ("code_reasoning", "code_reasoning/a", "no", "no"),
    ]  # fmt: skip
    assert summary("mme", *rows) == {
        "total": 375, "perception": 175, "cognition": 200, "color": 125, "OCR": 50, "code_reasoning": 200,
        "accuracy": 75, "neither": 12.5,
    }  # fmt: skip


def test_a_model_that_says_nothing_is_seen_in_the_column_neither():
    replies = ("", "a dog", "Not there", "nothing", "YES")
    assert [says_neither(reply) for reply in replies] == [True, True, False, True, False]
    rows = [("", "p", "yes", reply) for reply in replies]
    assert (summary("yesno", *rows)["accuracy"], summary("yesno", *rows)["neither"]) == (100, 60)
    rows = [("color", f"color/{reply}", "yes", reply) for reply in replies]
    assert (summary("mme", *rows)["accuracy"], summary("mme", *rows)["neither"]) == (20, 40)
    assert score("vqa", "", *["a"] * 10) == 1, "the original's rule"


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        *((each, "B") for each in ("B", "B.", "(B) tractor", "B)", "B: tractor", "B tractor", "Answer: B", "**B**",
                                   "**Answer:** B", "The answer is (B).", "Option B", "(b)", "b) tractor", "B, no",
                                   "b", "The correct option is B, as it is red.", "Between A and C, the answer is B")),
        *((each, "") for each in ("", "tractor", "A tractor", "a tractor", "I see a dog", "I'm not sure", "(A) or (B)",
                                  "B or C", "Answer: A tractor", "The answer is A. The answer is B.", "no idea")),
        ("Answer: A", "A"), ("A)", "A"),
    ],
)  # fmt: skip
def test_the_lenient_letter_of_a_chat_model(reply, meant):
    assert lenient_letter(reply) == meant


def test_choices_have_both_columns():
    rows = [("s", "1", "B", reply) for reply in ("B", "(B) tractor", "Answer: C", "tractor")]
    assert summary("choice", *rows) == {"accuracy": 25, "s": 25, "lenient": 50, "neither": 75}


@pytest.mark.parametrize(
    ("reply", "meant"),
    [
        ("B", "B"), (" B\n", "B"), ("B.", "B"), ("B. Paris", "B"), ("The answer is C.", "C"), ("b", ""),
        ("A dog", ""), ("The answer is A. The answer is B.", ""), ("The answer is Canada", ""), ("", ""), ("B.C", ""),
    ],
)  # fmt: skip
def test_the_letter_of_a_choice(reply, meant):
    assert chosen_letter(reply) == meant
    assert score("choice", reply, "B") == (meant == "B")


def test_gqa():
    assert score("gqa", "Yes.", "yes") == score("gqa", " yes ", "yes") == 1
    assert score("gqa", "the yes", "yes") == 0
    rows = [("query", "1", "dog", "Dog"), ("verify", "1", "no", "yes"), ("choose", "2", "left", "left")]
    assert summary("gqa", *rows) == pytest.approx(
        {"accuracy": 200 / 3, "binary": 50, "open": 100, "choose": 100, "query": 100, "verify": 0}
    )


@pytest.mark.parametrize(
    ("reply", "answer", "expected"),
    [
        ("It is a red dog.", "The red dog", 1), ("It is a dog", "do", 0), ("two dogs", "2", 1), ("dog", "red dog", 0),
        ("Foliage", "Foliage.", 1), ("anything", "a", 0), ("", "the", 1),
    ],
)  # fmt: skip
def test_contained_answers(reply, answer, expected):
    assert score("contains", reply, "no such", answer) == expected
