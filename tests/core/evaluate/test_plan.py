import pytest

from crop_core.evaluate.runner import plan
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.records.config import ConfigError
from crop_core.records.methods import METHODS

PUBLISHED = [name for name, method in METHODS.items() if method.published]
INSIDE = [*(name for name, method in METHODS.items() if method.pruner), *plan.JOINED]
PRUNING = [name for name in METHODS if name != "none"]


def test_all_tokens_and_blind_come_first_then_methods_by_budget():
    assert plan.trials(["crop", "plc+fastv"], ["192", "25%"]) == [
        ALL,
        BLIND,
        Trial("crop", "192"),
        Trial("crop", "25%"),
        Trial("plc+fastv", "192"),
        Trial("plc+fastv", "25%"),
    ]


def test_seeds_are_for_methods_that_draw():
    found = plan.trials(["fastv", "random", "random+fastv"], ["64"], [3, 5, 3])
    assert [(each.method, each.seed) for each in found[2:]] == [
        ("fastv", 0),
        ("random", 3),
        ("random", 5),
        ("random+fastv", 3),
        ("random+fastv", 5),
    ]


def test_localizers_are_compared_by_crop_beside_two_references():
    found = plan.localizer_trials(["self", "text", "whole", "a/b", "text"], ["64", "25%"])
    assert [(each.method, each.budget, each.region) for each in found] == [
        ("crop", budget, region)
        for region in ("predicted", "text", "a/b", "random", "whole")
        for budget in ("64", "25%")
    ]
    assert len({each.name for each in found}) == len(found)
    assert plan.localizer_names(found) == ("text", "a/b") and plan.needs_localizer(found)
    for name in ("none", "random", "predicted"):
        with pytest.raises(ConfigError, match=f"'{name}' finds no region that could be compared"):
            plan.localizer_trials(["self", name])


def test_what_a_model_cannot_run_is_taken_away():
    found = plan.trials(["all", "-visionzip", "plc+fastv", "-plc+fastv"], ["64"])
    assert [each.method for each in found[2:]] == [name for name in PRUNING if name != "visionzip"]


def test_every_method_and_no_trial_twice():
    found = plan.trials(["crop", "all"], ["64", " 64 ", "64.0", "12.5 %".replace(" ", ""), "12.50%"])
    assert {each.method for each in found} == {"none", *PRUNING}
    assert [each.budget for each in found if each.method == "crop"] == ["64", "12.5%"]
    assert len(found) == len(set(found)) == len({each.name for each in found}) == 2 + 2 * len(PRUNING)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((["corp"],), "'corp' is not known"),
        ((["fastv+crop"],), "'fastv\\+crop' is not known"),
        ((["none"],), "'none' prunes nothing"),
        (([],), "no method"),
        ((["crop", "-crop"],), "no method"),
        ((["all", "-corp"],), "'corp' is not known"),
        ((["crop"], []), "no budget"),
        ((["crop"], ["many"]), "'many' is neither"),
        ((["crop"], ["0"]), "at least 1"),
        ((["crop"], ["101%"]), "at most 100 %"),
        ((["crop"], ["64"], []), "seeds"),
        ((["crop"], ["64"], [-1]), "seeds"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments, said):
    with pytest.raises(ConfigError, match=said) as error:
        plan.trials(*arguments)
    assert "\n" not in str(error.value)


def test_the_published_plan_has_every_method_and_what_is_told_of_crop():
    found = plan.published()
    names = {each.name for each in found}
    assert len(names) == len(found) == 2 + 3 * len((*PRUNING, *plan.JOINED, *PUBLISHED, *INSIDE)) + 2 + 3 + 6
    assert {"baseline", "blind", "crop 64, reference region", "crop 64, random region"} <= names
    assert {
        "crop 192, self region",
        "ilp 64, evicting",
        "crop 128, evicting",
        "random 128",
        "fastv@paper 64",
        "ilp 64 left",
    } <= names


def test_a_localizer_is_needed_where_a_region_is_read():
    assert plan.needs_localizer(plan.trials(["fastv", "crop"]))
    assert plan.needs_localizer([Trial("crop", "64", region="random")])
    assert not plan.needs_localizer(plan.trials(["fastv", "random"]))
    assert not plan.needs_localizer([ALL, Trial("crop", "64", region="self"), Trial("crop", "64", region="reference")])
