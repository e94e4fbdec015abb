"""How the region came about, on the page and in the report: a map, and the lines of a recorded run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from crop_core.io.data_url import data_url
from tests.support.browser import done, saved
from tests.support.fake_records import comparison, explanation, sample_image

BUTTON = "How the region came about"


@pytest.mark.answered
def test_the_map_is_drawn_at_the_press_of_a_button_and_goes_with_the_next(page: Page) -> None:
    panel, button = page.locator(".cx-panel").first, page.get_by_role("button", name=BUTTON)
    canvas = panel.locator("canvas")
    before = canvas.screenshot()
    button.click()
    expect(panel).to_contain_text("the map is the probability of each cell")
    assert canvas.screenshot() != before
    expect(panel.locator(".cx-box")).to_be_hidden()
    canvas.hover(position={"x": 20, "y": 20})
    expect(panel.locator(".cx-tip")).to_contain_text("Probability of each cell")
    button.click()
    page.mouse.move(0, 0)
    expect(panel.locator(".cx-box")).to_be_visible()
    expect(panel.locator(".cx-found")).to_be_hidden()


def test_a_recorded_run_shows_the_lines_that_were_read_and_so_does_its_report(page: Page, tmp_path: Path) -> None:
    read = comparison("what does the sign say?", trace=replace(comparison().trace, explanation=explanation()))
    file = tmp_path / "read.json"
    file.write_text(json.dumps({**read.to_json(), "pictures": [data_url(sample_image())]}))
    page.get_by_text("Open recorded runs").click()
    page.locator("#open-files").locator("xpath=..").locator("input[type=file]").set_input_files(file)
    done(page)
    page.get_by_text("Figures and downloads").click()
    report = tmp_path / "read.html"
    report.write_bytes(saved(page, "#save-page"))
    for address in (None, report.as_uri()):
        if address:
            page.goto(address)
            done(page)
        panel = page.locator(".cx-panel").first
        page.get_by_role("button", name=BUTTON).click()
        expect(panel.locator(".cx-found li")).to_have_text(["“EXIT” 97 %, on red", "1 more, not chosen"])
        expect(panel).to_contain_text("2 lines of text read, 1 of them chosen.")


def test_a_run_of_an_earlier_version_has_no_such_button(page: Page, tmp_path: Path) -> None:
    data = comparison().to_json()
    del data["trace"]["explanation"]
    file = tmp_path / "old.json"
    file.write_text(json.dumps({**data, "pictures": [data_url(sample_image())]}))
    page.get_by_text("Open recorded runs").click()
    page.locator("#open-files").locator("xpath=..").locator("input[type=file]").set_input_files(file)
    done(page)
    expect(page.get_by_role("button", name=BUTTON)).to_be_hidden()
