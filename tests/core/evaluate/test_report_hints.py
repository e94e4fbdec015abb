"""Sentences of the report about small images and about replies that are right but for their wording."""

from crop_core.evaluate.metrics.registry import metric
from crop_core.evaluate.report import texts
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.runner.plan import ALL, Trial
from tests.support.bench_records import frame, record

PRUNED = (Trial("crop", "64"), Trial("fastv", "64"), Trial("crop", "16"))


def sweep():
    """Three questions in four trials; the image of the first has few tokens."""
    rows = [
        record(name, trial, visual_tokens=count, mean_tokens=min(float(trial.budget or 576), count))
        for name, count in {"a": 35, "b": 576, "c": 576}.items()
        for trial in (ALL, *PRUNED)
    ]
    return frame(rows)


def test_the_report_says_for_how_many_questions_nothing_was_pruned():
    found = summarise(sweep())
    sentence = (
        "At 64 tokens, 1 of 3 questions are about images of no more visual tokens than that; nothing was pruned for "
        "them."
    )
    assert found.hints == (sentence,)
    assert texts.headline(found)[-1] == sentence
    assert found.to_json()["hints"] == [sentence]
    larger = sweep()
    assert summarise(larger[larger["example"] != "a"]).hints == ()


def test_exact_answers_hint_at_the_metrics_that_forgive():
    replies = {"a": "Yes.", "b": "It is yes", "c": "no", "d": "yes"}
    rows = [
        record(name, trial, score=float(reply == "yes"), reply=reply, gold="yes")
        for name, reply in replies.items()
        for trial in (ALL, Trial("crop", "64"))
    ]
    hint = (
        "2 of the baseline's 3 wrong replies hold the answer, with other punctuation, articles or more words; --metric "
        "contains forgives all of these, --metric vqa punctuation and articles."
    )
    assert summarise(frame(rows), metric("exact")).hints == (hint,)
    assert summarise(frame(rows), metric("anls")).hints == ()
    assert summarise(frame(rows[-2:]), metric("exact")).hints == ()
