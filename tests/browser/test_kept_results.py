"""Two visitors who ask the same: the second has what was kept of the first, and is told so."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.browser import SQUARE, Watch, ask_example, opened, running, settled


def test_who_asks_what_another_has_asked_gets_it_at_once(
    models: dict[str, str], tmp_path: Path, browser: Browser, watch: Watch
) -> None:
    with running(models, tmp_path) as app:
        with opened(browser, app, watch) as page:
            ask_example(page, SQUARE)
            settled(page)
        with opened(browser, app, watch) as page:
            ask_example(page, SQUARE)
            hint = page.locator(".cx-hint")
            expect(hint).to_contain_text("The same was asked here before: these answers are of ")
            page.get_by_role("button", name="Measure again").click()
            expect(hint).to_be_hidden()
            settled(page)
