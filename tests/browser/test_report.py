"""The benchmark's report, opened as a file: no server, no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from crop_core.evaluate.report.html import report
from crop_core.evaluate.report.summary import summarise
from tests.support.bench_records import records
from tests.support.browser import Watch

DESKTOP, PHONE = (1200, "light"), (390, "dark")  # width in pixels, colour scheme
FIGURES = 9  # three of lines, and two heat maps at each of three budgets


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of made-up records."""
    rows = records(questions=36, per_image=3)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(summarise(rows), rows, {"model": "crop-tiny"}), encoding="utf-8")
    return path


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, file: Path, watch: Watch) -> Iterator[Page]:
    """The report on a screen; afterwards nothing may have gone wrong or have been asked for."""
    width, scheme = getattr(request, "param", DESKTOP)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    watch.attach(page)
    page.goto(file.as_uri())
    yield page
    page.close()
    assert watch.complaints == []
    assert watch.requests == []


@pytest.mark.parametrize("page", [DESKTOP, PHONE], ids=["desktop", "phone in the dark"], indirect=True)
def test_every_figure_is_drawn_and_nothing_is_wider_than_the_screen(page: Page) -> None:
    expect(page.locator("figure .main-svg .gtitle")).to_have_count(FIGURES)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_columns_sort_and_questions_open(page: Page) -> None:
    table = page.locator("#pairs table")
    points = table.locator("tbody td:nth-child(4)")
    head = table.locator("th").nth(3)
    head.locator("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    rising = [float(text) for text in points.all_inner_texts()]
    assert rising == sorted(rising) and len(set(rising)) > 3
    head.locator("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert [float(text) for text in points.all_inner_texts()] == sorted(rising, reverse=True)
    question = page.locator("details td").first
    expect(question).to_be_hidden()
    page.locator("details summary").first.click()
    expect(question).to_be_visible()
