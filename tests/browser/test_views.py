"""A model that sees the image twice: an overview and tiles, of which each image shows one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Watch, done, opened, png, upload


@pytest.fixture
def page(tiled_app: str, browser: Browser, watch: Watch) -> Iterator[Page]:
    """The app on a random LLaVA-NeXT: 16 tokens of an overview, and twice as many of an image of 2 to 1."""
    with opened(browser, tiled_app, watch) as page:
        yield page


def test_the_images_show_the_view_that_is_picked(page: Page) -> None:
    expect(page.locator("#run")).to_be_visible()
    upload(page, png(200, 100))
    page.locator("#question textarea").fill("what is left of the dog?")
    page.locator("#run").click()
    done(page)
    panel = page.locator(".cx-pruning")
    overview, tiles = panel.locator(".cx-views").first.locator("button").all()
    expect(overview).to_have_text("Overview, 16 tokens")
    expect(tiles).to_have_text("Tiles, 32 tokens")
    expect(tiles).to_have_attribute("aria-pressed", "true")
    before, said = panel.locator("canvas").first.screenshot(), panel.locator(".cx-now").first.inner_text()
    assert "of 52 alive" in said, "ends of rows are counted, and have no place"
    overview.click()
    expect(panel.locator(".cx-views button").first).to_have_attribute("aria-pressed", "true")
    assert panel.locator("canvas").first.screenshot() != before
    assert panel.locator(".cx-now").first.inner_text() == said
