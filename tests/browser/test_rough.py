"""Rough use: hundreds of clicks, two tabs at once, what is stopped or closed half-way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import ROOT
from tests.support.browser import EXAMPLES, Watch, ask_example, done, free_port, result
from tests.support.fake_records import FakeEngine
from ui.page.layout import build, launch_options
from ui.server.queued_engine import QueuedEngine
from ui.server.request_queue import RequestQueue
from ui.views.examples import load_examples

STEP = 0.7  # seconds from one event of the slow engine to the next


@pytest.fixture(scope="module")
def slow() -> Iterator[str]:
    """The app over an engine that takes its time: some six seconds a run, 45 for the map of places."""
    folder = Path(ROOT / "assets" / "examples")
    app = build(QueuedEngine(FakeEngine(delay=STEP), RequestQueue(waiting=16)), load_examples(folder))
    port = free_port()
    app.launch(server_port=port, prevent_thread_lock=True, quiet=True, **launch_options(folder))
    yield f"http://127.0.0.1:{port}/"
    app.close()


@pytest.fixture
def slow_page(slow: str, browser: Browser) -> Iterator[Page]:
    """That app, opened."""
    page = browser.new_page()
    page.goto(slow)
    expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
    yield page
    page.close()


def test_hundreds_of_clicks_on_run_are_not_hundreds_of_runs(page: Page, watch: Watch) -> None:
    ask_example(page, 0)
    before = len(watch.requests)
    page.evaluate("() => { for (let k = 0; k < 300; k++) document.querySelector('#run').click(); }")
    expect(page.locator("#stop")).to_be_enabled()
    done(page)
    expect(page.locator("#stop")).to_be_disabled()
    joins = [url for url in watch.requests[before:] if "queue/join" in url]
    assert len(joins) < 12, "one run and the small requests around it"
    ask_example(page, 1)
    expect(page.locator(".run-card")).to_have_count(0)


def test_two_tabs_do_not_mix(page: Page, app: str) -> None:
    tabs = [page, page.context.new_page()]
    tabs[1].goto(app)
    expect(tabs[1].locator(".cx")).to_have_attribute("data-stage", "recorded")
    for index, tab in enumerate(tabs):
        tab.locator(".ex-button").nth(index).click()
    for index, tab in enumerate(tabs):
        expect(tab.locator(".cx-question")).to_have_text(f"“{EXAMPLES[index]['question']}”")
        done(tab)
        assert result(tab).question == EXAMPLES[index]["question"]
    for tab in tabs:
        tab.get_by_role("button", name="Run", exact=True).click()
    for tab in tabs:
        expect(tab.locator("#stop")).to_be_enabled()
    for index, tab in enumerate(tabs):
        done(tab)
        assert result(tab).question == EXAMPLES[index]["question"]


def test_a_question_is_stopped_and_what_stood_there_comes_back(slow_page: Page) -> None:
    stop, stages, explorer = (slow_page.locator(name) for name in ("#stop", ".cx-stages", ".cx"))
    slow_page.locator(".ex-button").nth(0).click()
    expect(stages).to_be_visible()
    stop.click()
    expect(explorer).to_have_attribute("data-stage", "idle")
    expect(stop).to_be_disabled()
    slow_page.locator("#run").click()
    done(slow_page)
    before = slow_page.locator(".cx-bill").inner_text()
    slow_page.locator("#run").click()
    expect(stages).to_be_visible()
    stop.click()
    done(slow_page)
    assert slow_page.locator(".cx-bill").inner_text() == before
    expect(slow_page.locator(".run-card")).to_have_count(0)


def test_a_tab_that_is_closed_half_way_leaves_the_model_to_others(slow_page: Page, slow: str, browser: Browser) -> None:
    other = browser.new_page()
    other.goto(slow)
    other.locator(".ex-button").nth(0).click()
    done(other)
    other.get_by_text("Where does the answer live?").click()
    other.locator("#start-places").click()
    expect(other.locator("#status-places")).to_contain_text("of 64")
    other.close()
    slow_page.locator(".ex-button").nth(1).click()
    done(slow_page)  # sooner than the other 60 places would have been looked at
