"""The figure of where the model looked: the map of either run, its scale and words, and what it says without one."""

import pytest

from tests.support.fake_records import attention, comparison, sample_image
from tests.support.figures import check_inside, drawn, texts_of
from ui.export.figure import FigureOptions, figure
from ui.export.letters import FigureError


def shown(name, **options):
    run = comparison()
    looked = run.looked([attention(run.trace), attention(run.trace, baseline=False)])
    return figure([sample_image()], looked, FigureOptions(name, 8.5, layer=3, **options)), run.trace


def densest(figure_):
    """The patches of the largest opacity."""
    heat = [each for axes in figure_.axes for each in axes.patches if each.get_alpha() is not None]
    return [each for each in heat if each.get_alpha() == pytest.approx(0.85)]


@pytest.mark.parametrize("name", ["attention", "attention-pruned"])
def test_the_map_has_a_scale_and_says_what_it_shows(name):
    figure_, _ = shown(name)
    assert densest(figure_)
    assert figure_.facts["layer"] == "3" and figure_.facts["answer token"] == "1"
    said = " ".join(texts_of(figure_))
    assert "Layer 3, writing “rabbit”: 50 % of the attention is on the image." in said
    assert "0 to" in said and "% of the attention on one token" in said
    check_inside(figure_)


def test_the_largest_of_the_baseline_is_at_its_token():
    figure_, trace = shown("attention")
    (dense,) = densest(figure_)
    corners = dense.get_xy()
    assert [*corners.min(axis=0), *corners.max(axis=0)] == pytest.approx(trace.boxes[3])


def test_without_one_it_says_how_to_get_it_and_another_answer_token_is_one_sentence():
    assert "press Show" in " ".join(texts_of(drawn("attention")))
    assert "writing “</s>”" in " ".join(texts_of(shown("attention", word=2)[0]))
    with pytest.raises(FigureError, match="no attention for answer token 3; it was read for the first 2"):
        shown("attention-pruned", word=3)
