"""Drawn pages: the same by seed, with answers where they say; and the text localizer on some of them."""

import numpy as np
import pytest

from benchmarks import text_localizer
from benchmarks.text_pages import phrasings
from benchmarks.text_pages.pages import CHOOSING, MAKERS, REPORTING, make_page, pages
from benchmarks.text_pages.sheet import TURNS
from crop_core.localize import TextLocalizer
from crop_core.records.region import Region

SOME = 16


def test_a_seed_always_draws_the_same_page():
    one, other = make_page(7), make_page(7)
    assert one.image.tobytes() == other.image.tobytes() and one.asked == other.asked
    assert make_page(11).image.tobytes() != one.image.tobytes()


def test_every_answer_lies_in_its_image_and_covers_ink():
    for page in pages(CHOOSING, SOME):
        assert page.turn in TURNS and 1 <= len(page.asked) <= 3
        for each in page.asked:
            left, top, right, bottom = each.box
            assert 0 <= left < right <= page.image.width and 0 <= top < bottom <= page.image.height
            part = np.asarray(page.image.crop([round(side) for side in each.box]).convert("L"))
            assert np.ptp(part) > 40, (page.kind, each)


def test_the_kinds_take_turns():
    assert [page.kind for page in pages(REPORTING, len(MAKERS))] == ["form", "receipt", "page", "sign"]


def test_no_question_to_report_with_was_there_to_choose_rules_with():
    assert phrasings.CHOOSING.keys() == phrasings.REPORTING.keys()
    every = [set(map(str.lower, sum(half.values(), ()))) for half in (phrasings.CHOOSING, phrasings.REPORTING)]
    assert not every[0] & every[1]
    own = {text.partition("{")[0] for group in phrasings.REPORTING.values() for text in group}
    for page in pages(REPORTING, SOME):
        assert all(any(each.question.startswith(start) for start in own) for each in page.asked)
    assert not set(CHOOSING) & set(REPORTING)


def test_figures_are_means_over_questions():
    needed, found = Region(1, 1, 2, 2, 80, 80), Region(1, 1, 4, 2, 80, 80, "predicted", 0.5)
    hit = text_localizer.Result.of(("form", "small"), found, needed)
    miss = text_localizer.Result.of(("sign", "large"), needed, Region.whole(80, 80))
    assert (hit.covered, hit.area, hit.iou, hit.whole) == (True, 8 / 64, 0.5, False) and not miss.covered
    rows = text_localizer.by_group([hit, miss])
    assert list(rows) == ["all", "form", "large", "sign", "small"]
    assert rows["all"]["covered"] == 0.5 and rows["all"]["confidence"] == 0.5 and rows["form"]["questions"] == 1
    assert "| all   | 2 " in text_localizer.table(rows, "pages")


@pytest.mark.parametrize("seeds", [CHOOSING, REPORTING], ids=["choosing", "reporting"])
def test_the_text_localizer_covers_nearly_every_answer(seeds):
    results = text_localizer.on_pages(pages(seeds, SOME), TextLocalizer(text_localizer.OnceReader()))
    figures = text_localizer.figures(results)
    assert len(results) >= 2 * SOME and figures["covered"] >= 0.9 and figures["area"] <= 0.2
