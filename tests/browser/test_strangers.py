"""A recorded run in which every text is HTML, in the page itself: letters are shown, and nothing is made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from crop_core.io.data_url import data_url
from tests.support.browser import done, saved
from tests.support.fake_records import comparison, sample_image

HOSTILE = "<img class=evil src=x onerror='window.evil=1'><b class=evil>bold</b>"
COUNT = "() => document.querySelectorAll('.evil').length + (window.evil || 0)"


def written_by_a_stranger() -> dict[str, Any]:
    """Every text that a file may choose freely is HTML."""
    data = comparison(HOSTILE, model=HOSTILE, device=HOSTILE, budget=HOSTILE, notices=[HOSTILE]).to_json()
    for run in ("baseline", "crop"):
        data[run]["answer"] = HOSTILE
        data[run]["tokens"][0]["text"] = HOSTILE
    return {**data, "unknown_words": [HOSTILE], "made": {HOSTILE: HOSTILE}, "pictures": [data_url(sample_image())]}


def test_html_in_a_recorded_run_is_letters_everywhere(page: Page, tmp_path: Path) -> None:
    files = []
    for name in ("<b class=evil>a.json", "<b class=evil>b.json"):
        files.append(tmp_path / name)
        files[-1].write_text(json.dumps(written_by_a_stranger()))
    files.append(tmp_path / "<img class=evil src=x>.json")
    files[-1].write_text("{}")
    page.get_by_text("Open recorded runs").click()
    page.locator("#open-files").locator("xpath=..").locator("input[type=file]").set_input_files(files)
    done(page)
    expect(page.locator(".cx-question")).to_contain_text("<img class=evil")
    expect(page.locator(".run-card")).to_have_count(2)
    expect(page.locator("#open-message")).to_contain_text("is not a recorded run")
    page.get_by_text("Figures and downloads").click()
    expect(page.locator("#alive .js-plotly-plot")).to_be_visible()
    report = saved(page, "#save-page").decode()
    assert page.evaluate(COUNT) == 0
    own = page.context.new_page()
    own.set_content(report)
    expect(own.locator(".cx")).to_have_attribute("data-stage", "done")
    assert own.evaluate(COUNT) == 0
