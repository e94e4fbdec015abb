from dataclasses import replace

import numpy as np
import pytest

from crop_core.evaluate.report.scores import MissedBudget, RecordsError, validate_records
from crop_core.evaluate.runner.plan import ALL, Trial
from tests.support.bench_records import frame, record, records

CROP, SHARE = Trial("crop", "64"), Trial("crop", "25%")


def with_crop(trial=CROP, **changed):
    """Two questions with every token, and in a trial whose last record is changed."""
    rows = [record(example, each) for each in (ALL, trial) for example in ("a", "b")]
    if trial is SHARE:
        rows = [replace(row, mean_tokens=144.0) if row.budget else row for row in rows]
    return frame([*rows[:-1], replace(rows[-1], **changed)])


def test_good_records_pass():
    validate_records(records())
    validate_records(with_crop())
    validate_records(with_crop(SHARE))
    validate_records(with_crop(mean_tokens=62.1))
    validate_records(with_crop().astype({"mean_tokens": np.float32, "trial": "category", "budget": "category"}))


@pytest.mark.parametrize("tokens", [64.1, 61.9, 300.0])
def test_a_missed_budget(tokens):
    with pytest.raises(MissedBudget, match=rf"'crop 64' took {tokens:g} tokens of 576 for a mean of 64, in 1 of 2"):
        validate_records(with_crop(mean_tokens=tokens))


def test_a_budget_above_an_image_s_tokens_is_all_of_them():
    validate_records(with_crop(visual_tokens=35, mean_tokens=35.0))
    with pytest.raises(MissedBudget, match=r"'crop 64' took 30 tokens of 35 for a mean of 35, in 1 of 2"):
        validate_records(with_crop(visual_tokens=35, mean_tokens=30.0))


def test_records_without_scores():
    validate_records(with_crop(score=float("nan")), scored=False)
    with pytest.raises(MissedBudget):
        validate_records(with_crop(score=float("nan"), mean_tokens=300.0), scored=False)
    with pytest.raises(RecordsError, match="score is nan"):
        validate_records(with_crop(score=float("nan")))


def test_a_share_is_of_the_tokens_of_each_image():
    validate_records(with_crop(SHARE, visual_tokens=1000, mean_tokens=249.0))
    with pytest.raises(MissedBudget, match=r"'crop 25%' took 144 tokens of 1000 for a mean of 250"):
        validate_records(with_crop(SHARE, visual_tokens=1000))


def test_nothing_pruned():
    with pytest.raises(MissedBudget, match="'crop 64' pruned nothing of 576 tokens"):
        validate_records(with_crop(mean_tokens=576.0))
    validate_records(with_crop(visual_tokens=64, mean_tokens=64.0))


def test_missing_and_doubled_examples():
    whole = records(questions=6)
    cut = whole[~((whole["trial"] == "fastv 64") & (whole["example"] == "q0002"))]
    with pytest.raises(RecordsError, match=r"'fastv 64' lacks 1 of 6 examples, such as 'q0002'"):
        validate_records(cut)
    with pytest.raises(RecordsError, match=r"'q0000' is recorded twice in the trial 'baseline'"):
        validate_records(whole.loc[[*whole.index, whole.index[0]]])


@pytest.mark.parametrize("field", ["score", "kl_first", "logprob", "ttft_s"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_figures_that_are_none(field, value):
    with pytest.raises(RecordsError, match=rf"{field} is (nan|inf) for example 'b' in the trial 'crop 64'"):
        validate_records(with_crop(**{field: value}))


def test_other_records_that_cannot_be_compared():
    with pytest.raises(RecordsError, match="no records"):
        validate_records(records().iloc[:0])
    with pytest.raises(RecordsError, match="of made up, other; report one"):
        validate_records(with_crop(dataset="other"))
    with pytest.raises(RecordsError, match="lack the trial 'baseline'"):
        validate_records(frame([record("a", CROP)]))
    with pytest.raises(RecordsError, match=r"score of example 'b' .* is 1.5"):
        validate_records(with_crop(score=1.5))
