"""Reading four distributions as a region, and fitting doubt and confidence: pure numpy, against known answers."""

import itertools

import numpy as np
import pytest

from crop_core.localize.calibration import Calibration, choose_doubt, covers, fit_confidence, iou
from crop_core.localize.decoding.region_decoding import decode_region

DOUBTS = [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5]


def peaked(number, spread=0.0):
    """(8,) around a number; spread 0 is certain."""
    away = np.abs(np.arange(8) - number)
    return np.where(away == 0, 1.0, 0.0) if not spread else np.exp(-away / spread) / np.exp(-away / spread).sum()


def distributions(seed, sharp=1.0):
    return np.random.default_rng(seed).dirichlet(np.full(8, sharp), 4)


def test_certain_numbers_are_taken_with_any_doubt():
    thought = np.stack([peaked(n) for n in (2, 1, 5, 1)])
    for doubt in [None, *DOUBTS]:
        reading = decode_region(thought, doubt)
        assert reading.numbers == (2, 1, 5, 1)
        assert reading.log_covered == pytest.approx(0, abs=1e-9)


def test_without_doubt_the_most_likely_valid_numbers():
    thought = distributions(3)
    every = itertools.product(range(8), repeat=4)
    mass = {b: np.prod([thought[k, n] for k, n in enumerate(b)]) for b in every if b[0] <= b[2] and b[1] <= b[3]}
    assert decode_region(thought).numbers == max(mass, key=mass.get)


def test_half_a_doubt_is_the_median():
    thought = np.stack([peaked(1, 0.8), peaked(0, 0.5), peaked(6, 0.8), peaked(7, 0.5)])  # hardly any pair is invalid
    medians = [int((row.cumsum() <= 0.5).sum()) for row in thought]
    assert list(decode_region(thought, 0.5).numbers) == medians == [1, 0, 6, 7]


@pytest.mark.parametrize("sharp", [0.1, 1.0, 10.0])
def test_less_doubt_never_takes_a_cell_away(sharp):
    for seed in range(100):
        result = [decode_region(distributions(seed, sharp), doubt) for doubt in reversed(DOUBTS)]  # from narrow to wide
        for narrow, wide in itertools.pairwise(result):
            assert covers([wide.numbers], [narrow.numbers]).all()
            assert wide.log_covered >= narrow.log_covered
        assert all(each.numbers[0] <= each.numbers[2] and each.numbers[1] <= each.numbers[3] for each in result)


def test_numbers_that_exclude_each_other():
    """First edge certainly right of the last one: the first is believed, and the region is valid."""
    thought = np.stack([peaked(n) for n in (5, 2, 3, 2)])
    for doubt in [None, *DOUBTS]:
        x0, _, x1, _ = decode_region(thought, doubt).numbers
        assert x0 == 5 and x1 >= 5


@pytest.mark.parametrize("doubt", [-0.1, 0.6, float("nan")])
def test_a_doubt_that_cannot_be(doubt):
    with pytest.raises(ValueError, match="doubt"):
        decode_region(distributions(0), doubt)
    with pytest.raises(ValueError, match="doubt"):
        Calibration(doubt)


def test_the_confidence_of_the_map():
    assert Calibration().confidence(np.log(0.3)) == pytest.approx(0.3)
    assert Calibration(scale=2.0, shift=-1.0).confidence(np.log(0.5)) == pytest.approx(1 / (1 + np.e))
    for log_p in (0.0, -1e-18, -800.0, -np.inf):
        assert 0 <= Calibration(None, 1.3, 0.2).confidence(log_p) <= 1
    rising = [Calibration(None, 0.7, -0.3).confidence(np.log(p)) for p in (0.01, 0.5, 0.9, 0.999)]
    assert rising == sorted(rising)


def test_the_fit_finds_the_map_that_made_the_outcomes():
    random = np.random.default_rng(0)
    log_p = np.log(random.uniform(0.05, 0.999, 20_000))
    truth = Calibration(None, 0.6, 0.5)
    hit = random.uniform(size=len(log_p)) < [truth.confidence(each) for each in log_p]
    scale, shift = fit_confidence(log_p, hit)
    assert (scale, shift) == pytest.approx((0.6, 0.5), abs=0.06)
    fitted = Calibration(None, scale, shift)
    assert np.mean([fitted.confidence(each) for each in log_p]) == pytest.approx(hit.mean(), abs=0.005)


@pytest.mark.parametrize("hit", [True, False])
@pytest.mark.parametrize("log_p", [0.0, -1e-9, -3.0, -700.0])
def test_the_fit_of_few_and_equal_outcomes_is_finite(hit, log_p):
    scale, shift = fit_confidence([log_p] * 5, [hit] * 5)
    assert 0 < scale < 100 and abs(shift) < 100
    Calibration(None, scale, shift)


def test_what_cannot_be_fitted():
    with pytest.raises(ValueError, match="as many"):
        fit_confidence([-0.1, -0.2], [True])
    with pytest.raises(ValueError, match="at least one"):
        fit_confidence([], [])


def test_the_doubt_with_the_best_iou_that_covers_enough():
    """True edges drawn from what the locator thinks: more coverage needs less doubt."""
    random = np.random.default_rng(1)
    thought = np.stack([np.stack([peaked(n, 0.7) for n in (2, 2, 5, 5)])] * 400)
    true = np.array([[random.choice(8, p=row) for row in each] for each in thought])
    true[:, 2:] = np.maximum(true[:, 2:], true[:, :2])
    shares = {}
    for target in (0.3, 0.8, 0.95):
        doubt = choose_doubt(thought, true, target)
        shares[target] = covers([decode_region(each, doubt).numbers for each in thought], true).mean()
        assert shares[target] >= target
    assert shares[0.3] < shares[0.95]
    assert choose_doubt(thought, true, 1.1, (None, 0.5, 0.1)) == 0.1  # nothing covers so much: the widest


def test_boxes_against_each_other():
    result = [[0, 0, 3, 3], [2, 2, 2, 2], [0, 0, 7, 7]]
    true = [[2, 2, 5, 5], [2, 2, 2, 2], [1, 1, 4, 4]]
    assert iou(result, true).tolist() == pytest.approx([4 / 28, 1, 16 / 64])
    assert covers(result, true).tolist() == [False, True, True]
