import numpy as np
import pytest

from tests.support.fake_records import comparison
from ui.views import figures, palette


def test_time_bars_add_up_to_the_total() -> None:
    result = comparison()
    figure = figures.time_split(result)
    assert figure.layout.barmode == "stack"
    sums = np.sum([bar.x for bar in figure.data], axis=0)
    assert sums == pytest.approx([1000 * result.baseline.cost.total_s, 1000 * result.crop.cost.total_s])
    assert list(figure.data[0].y) == ["Baseline", "CROP"] and figure.layout.yaxis.autorange == "reversed"


def test_the_alive_curve_is_the_traces() -> None:
    result = comparison()
    baseline, crop = figures.alive_curve(result).data
    assert list(crop.y) == result.crop.trace.alive_counts.tolist()
    assert list(baseline.y) == [576] * result.crop.trace.layers


def test_rings_beyond_the_palette_share_its_last_colour() -> None:
    assert palette.ring_colour(99) == palette.RINGS[-1]
    assert palette.ring_colour(0) == palette.REGION
