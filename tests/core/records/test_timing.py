"""Median, range and the rule for a difference, on synthetic times."""

import json
import math
import random
from itertools import combinations

import pytest

from crop_core.records.comparison_table import comparison_table
from crop_core.records.cost import Cost
from crop_core.records.results import Comparison
from crop_core.records.timing import MIN_RUNS, NOT_MEASURABLE, Peak, Spread, measurably_different, time_change
from tests.support.fake_records import comparison, cost, measured, run_time


def spread(*seconds):
    return Spread.of(seconds, 9.0)


def test_a_spread_is_of_the_measured_runs_or_else_of_the_one_that_answered():
    assert vars(spread(3, 1, 2)) == {"median": 2, "low": 1, "high": 3, "runs": 3}
    assert spread(4, 1, 2, 3).median == 2, "one that was measured"
    assert vars(spread()) == {"median": 9, "low": 9, "high": 9, "runs": 0}
    assert [str(each) for each in (spread(0.182, 0.17, 0.21), spread(0.5), spread())] == [
        "182 ms (170 ms to 210 ms)",
        "500 ms",
        "9.00 s",
    ]


SLOW = (1.00, 1.10, 1.05, 1.20, 1.02)


@pytest.mark.parametrize(
    ("base", "crop", "expected"),
    [
        (SLOW, (0.60, 0.65, 0.70, 0.64, 0.61), ("1.6× faster", "gain")),
        ((0.60, 0.65, 0.70, 0.64, 0.61), SLOW, ("1.6× slower", "loss")),
        (SLOW, (0.60, 0.65, 1.01, 0.64, 0.61), (NOT_MEASURABLE, "same")),  # one hiccup: the ranges overlap
        (SLOW, (0.60, 0.65, 1.00, 0.64, 0.61), (NOT_MEASURABLE, "same")),  # they touch
        (SLOW, SLOW, (NOT_MEASURABLE, "same")),
        (SLOW[:3], (0.6, 0.65, 0.7), (NOT_MEASURABLE, "same")),  # apart, but by chance in one of ten
        (SLOW[:4], (0.6, 0.65, 0.7, 0.64), ("1.6× faster", "gain")),
        ((1.0, 1.01, 1.02, 1.03, 1.0), (0.99, 0.98, 0.99, 0.97, 0.99), (NOT_MEASURABLE, "same")),  # apart by 2 %
        ((1.05, 1.06, 1.05, 1.06, 1.07), (1.0, 1.01, 1.0, 1.01, 1.0), ("1.1× faster", "gain")),
        ((12.0,) * 5, (1.0,) * 5, ("12× faster", "gain")),
        (SLOW, (0.6,), ("", "same")),  # one run says nothing
        ((), (), ("", "same")),
    ],
)
def test_a_headline_only_where_the_ranges_do_not_overlap(base, crop, expected):
    assert time_change(spread(*base), spread(*crop)) == expected


def test_equal_runs_differ_by_chance_as_rarely_as_the_module_says():
    """All ways to deal 2 n different times to two runs: the share whose ranges do not overlap."""

    def share(count):
        times = [1.1**k for k in range(2 * count)]
        ways = list(combinations(range(2 * count), count))
        apart = 0
        for chosen in ways:
            one = spread(*(times[k] for k in chosen))
            other = spread(*(times[k] for k in range(2 * count) if k not in chosen))
            apart += measurably_different(one, other)
        return apart / len(ways)

    assert share(MIN_RUNS - 1) == 0, "too few to tell"
    for count in (MIN_RUNS, 5):
        assert share(count) == pytest.approx(2 * math.factorial(count) ** 2 / math.factorial(2 * count))
    assert share(5) < 0.01


def test_noise_has_few_headlines_and_a_real_difference_keeps_its_own():
    rng = random.Random(3)

    def noisy(seconds, hiccups):
        return spread(*(seconds * rng.uniform(0.9, 1.1) * (3 if rng.random() < hiccups else 1) for _ in range(5)))

    false = sum(time_change(noisy(1, 0.3), noisy(1, 0.3))[1] != "same" for _ in range(500))
    true = sum(time_change(noisy(1, 0), noisy(0.55, 0))[1] == "gain" for _ in range(100))
    assert false <= 10 and true == 100


def test_a_cost_takes_all_times_of_its_median_run():
    runs = [run_time(scale=scale) for scale in (3.0, 1.0, 2.0)]
    timed = cost().measured(runs, (Peak(7, "counted"), Peak(3, "grown")))
    assert (timed.ttft_s, timed.total_s, timed.prefill_s) == (runs[2].ttft_s, runs[2].total_s, runs[2].prefill_s)
    assert timed.tokens_per_s == pytest.approx(timed.new_tokens / timed.total_s)
    assert (timed.peak_bytes, timed.peak_method) == (7, "counted")
    assert (timed.localizer_peak_bytes, timed.localizer_peak_method) == (3, "grown")
    assert timed.ranges["total_s"] == Spread.of([run.total_s for run in runs], 0)
    assert timed.ranges["further_token_s"].high == runs[0].decode_s / (timed.new_tokens - 1)
    again = timed.measured([])
    assert again == timed, "nothing measured changes nothing"
    assert "further_token_s" not in Cost(**{**vars(cost()), "new_tokens": 1}).ranges


def test_a_record_carries_median_and_range_and_old_ones_open():
    result = comparison().measured(measured())
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    ranges = data["crop"]["cost"]["ranges"]["total_s"]
    assert ranges["low"] < ranges["median"] < ranges["high"] and ranges["runs"] == 5
    assert len(data["baseline"]["cost"]["runs"]) == 5
    assert Comparison.from_untrusted_json(json.dumps(data).encode()).to_json() == data
    for run in ("baseline", "crop"):
        for name in ("runs", "ranges"):
            del data[run]["cost"][name]
    old = Comparison.from_json(data)
    assert old.crop.cost.runs == [] and old.crop.cost.total_s == result.crop.cost.total_s
    assert old.crop.cost.ranges["total_s"].runs == 0
    assert "one each" in comparison_table(old)
    assert "Times are medians and ranges of 5 runs of each" in comparison_table(result)
    assert f"{result.crop.cost.ranges['ttft_s']}" in comparison_table(result)
