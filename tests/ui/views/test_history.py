from dataclasses import replace

import pytest

from crop_core.records.region import Region
from tests.support.fake_records import comparison, sample_image
from ui.views.explorer_state import ExplorerState
from ui.views.history import MAX_PIXELS, MAX_RUNS, FinishedRun, History, strip_html
from ui.views.rendering import render


def run(question="what?", size=(336, 336), grid=(2, 1, 4, 3), **fields):
    image = sample_image(*size)
    result = comparison(question, size, Region(*grid, *size, "drawn"), **fields)
    return FinishedRun((image,), result, ExplorerState.of(image, question))


def of(*runs):
    history = History()
    for each in runs:
        history = history.add(each)
    return history


def test_the_newest_run_is_shown_and_the_oldest_goes_first():
    assert History().shown is None
    runs = [run(f"what {k}?") for k in range(MAX_RUNS + 2)]
    history = of(*runs)
    assert [each.result.question for each in history.runs] == [f"what {k}?" for k in range(2, MAX_RUNS + 2)]
    assert history.shown.result is runs[-1].result
    assert history.choose(0).shown.result is runs[2].result
    assert history.shown.result is runs[-1].result, "never changed in place"


def test_runs_about_one_image_share_it_and_large_images_push_older_ones_out(monkeypatch):
    other = run(grid=(0, 0, 1, 1))
    history = of(run(), other)
    assert history.runs[0].images is history.runs[1].images
    assert history.runs[0].view.images is history.runs[1].view.images
    monkeypatch.setattr("ui.views.history.MAX_PIXELS", 336 * 336 + 100 * 100)
    assert len(of(run(), other, run(size=(100, 100))).runs) == 3
    assert [each.images[0].size for each in of(run(), run(size=(110, 110))).runs] == [(110, 110)]
    assert MAX_PIXELS >= 64_000_000, "one image of the largest size is always kept"


@pytest.mark.parametrize("index", [None, -1, 2, "0", True, 1.0, [0]])
def test_an_index_that_is_none_changes_nothing(index):
    history = of(run(), run(grid=(0, 0, 1, 1)))
    assert history.choose(index) is history


def test_cards_are_those_of_the_shown_image_and_question():
    first, second = run(grid=(0, 0, 1, 1)), run(changed=True)
    assert strip_html(History()) == strip_html(of(first)) == strip_html(of(first, run("how many?"))) == ""
    other = run(size=(200, 100))
    html = strip_html(of(first, other, second))
    assert html.count("run-card") == 2
    assert html.index('data-index="2"') < html.index('data-index="0"'), "newest first"
    assert html.index('aria-current="true"') < html.index('aria-current="false"')
    assert "“rabbit” is 11.0 % likely" in html
    assert "turtle" in html
    assert render("region_map", (0, 0, 1, 1)) in html


def test_what_a_model_says_is_text_not_markup():
    evil = run()
    answer = replace(evil.result.crop, text="<script>alert(1)</script>")
    bad = replace(evil, result=replace(evil.result, crop=answer, baseline=answer))
    html = strip_html(of(evil, bad))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
