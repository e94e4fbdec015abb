import math

import pytest

from crop_core.bench import methods
from crop_core.bench.accuracy import Tally
from crop_core.bench.examiner import ALL


def tally(right, wrong, tokens):
    found = Tally()
    for hit in [True] * right + [False] * wrong:
        found.add("color", hit, tokens)
    return found


def all_runs(**changed):
    runs = {f"{name} {budget:g}": tally(3, 1, budget) for name in methods.compared() for budget in methods.BUDGETS}
    return {ALL: tally(4, 0, 576), **runs, **{name.replace("_", " "): each for name, each in changed.items()}}


def test_an_interval_by_hand():
    """Wilson's for 8 of 10, as published: 0.490 to 0.943."""
    assert methods.interval(0.8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    low, high = methods.interval(1.0, 600)
    assert high == pytest.approx(1) and 0.99 < low < 1
    assert math.isclose(sum(methods.interval(0.5, 100)), 1)


def test_every_method_but_none_is_compared():
    assert {"crop", "fastv", "visionzip", "dart", "region"} <= set(
        methods.compared()
    ) and "none" not in methods.compared()


def test_rows_hold_the_interval():
    found = all_runs()
    runs = methods.rows(found, 4)
    assert runs["crop 64"]["interval"] == methods.interval(0.75, 4)
    lines = methods.table(runs).splitlines()
    assert len(lines) == 2 + len(methods.compared())
    assert [cell.strip() for cell in lines[2].split("|")[1:3]] == ["CROP", "75.0% (30% to 95%)"]


@pytest.mark.parametrize("tokens", [66, 60, 576])
def test_a_missed_budget_fails_loudly(tokens):
    methods.check_budgets(all_runs(dart_64=tally(1, 0, 63.4)))
    with pytest.raises(methods.MissedBudget, match="dart took"):
        methods.check_budgets(all_runs(dart_64=tally(1, 0, tokens)))
