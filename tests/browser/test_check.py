"""The tab *Check* in a real browser, over an engine without a model: rows come, and both files can be kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Watch, opened, running, saved
from tests.support.fake_records import check_report

STAND_IN = (sys.executable, "-m", "tests.support.app_without_models")


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app that offers the check."""
    with running({"CROP_CHECK": "1"}, tmp_path_factory.mktemp("check"), STAND_IN) as address:
        yield address


def test_the_operator_checks_the_model_and_keeps_both_files(operated: str, browser: Browser, tmp_path: Path) -> None:
    with opened(browser, operated, Watch()) as page:
        page.get_by_role("tab", name="Check").click()
        expect(page.locator("#check-html")).to_be_disabled()
        page.get_by_label("Drawn scenes").fill("3")
        page.locator("#start-check").click()
        expect(page.locator("#status-check")).to_contain_text("Done.")
        expect(page.locator("#check-report .check-verdict")).to_contain_text("Passed: 2 of 2 proofs.")
        expect(page.locator("#check-report table")).to_have_count(4)
        assert json.loads(saved(page, "#check-json")) == check_report(3).to_json()
        (tmp_path / "check.html").write_bytes(saved(page, "#check-html"))
        page.locator("#check-scenes input").fill("0")
        page.locator("#start-check").click()
        expect(page.locator("#status-check [role=alert]")).to_contain_text("give 1 to 1000")
    readable_on_a_phone(browser, tmp_path / "check.html")


def readable_on_a_phone(browser: Browser, file: Path) -> None:
    """The page is no wider than the screen: its tables scroll by themselves."""
    page: Page = browser.new_page(viewport={"width": 360, "height": 700})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("heading", name="Proofs")).to_be_visible()
    page.close()
