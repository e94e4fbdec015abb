"""Questions about everything: the scenes and the table of `benchmarks.count_all`, and what CROP keeps of the counts."""

from itertools import islice

import numpy as np
import pytest

from benchmarks import count_all
from crop_core.engine.session import Session
from crop_core.localize import WholeImage, localizer_for
from crop_core.models import DEFAULT_LOCALIZER, load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import BASELINE


def test_scattered_things_are_as_many_as_told_and_apart():
    for seed in range(20):
        image, count = count_all.scattered(seed)
        ground = np.asarray(image)[0, 0]
        assert count_all.FEWEST <= count <= count_all.MOST and max(image.size) == 336
        assert (np.asarray(image) != ground).any(-1).mean() > 0.01 * count
        assert np.array_equal(np.asarray(image), np.asarray(count_all.scattered(seed).image))
    assert len({count_all.scattered(seed).things for seed in range(20)}) > 2


def test_scenes_of_the_world_are_those_that_are_asked_for_their_number():
    totals = list(islice(count_all.of_the_world(), 20))
    assert all(count_all.FEWEST - 1 <= count <= count_all.MOST for _, count in totals)


def test_the_table_has_shares_of_the_baseline_and_paired_differences():
    right = {BASELINE: [True, True, True, False], "crop 64": [True, True, False, False], "whole region": [True] * 4}
    figures = count_all.figures(right)
    assert figures["crop 64"]["right"] == 0.5 and figures["crop 64"]["more"][0] == pytest.approx(-0.25)
    lines = count_all.table({"world": {"questions": 4, "runs": figures}}).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["run", "world (4)", "kept", "difference"]
    assert cells[2] == ["baseline", "75.0%", "", ""]
    assert cells[3][:3] == ["crop 64", "50.0%", "66.7%"] and cells[3][3].startswith("-25.0% (")
    assert len(cells) == 4


def test_crop_counts_everything_much_as_every_token_does():
    """With pooling, and ILP after it, 4 of 10 answers at 64 tokens were the baseline's."""
    adapter, localizer = load("crop-tiny", "cpu"), localizer_for(load(DEFAULT_LOCALIZER, "cpu"))
    same = 0
    for number, (image, _) in enumerate(islice(count_all.of_the_world(), 40)):
        session = Session(adapter, image, count_all.PHRASINGS[number % len(count_all.PHRASINGS)], max_new_tokens=2)
        assert session.localize(localizer).regions[0].is_whole
        (region,) = session.localize(WholeImage()).regions
        run = session.run(session.task(CropConfig(budget=Budget(64))), region)
        same += run.generated.ids == session.baseline.generated.ids
    assert same >= 24
