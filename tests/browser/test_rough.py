"""Rough use: hundreds of clicks, tabs that are closed half-way, two tabs at once."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from test_app import EXAMPLES, ask_example, done, result


def test_hundreds_of_clicks_on_run_are_not_hundreds_of_runs(page: Page) -> None:
    ask_example(page, 0)
    page.evaluate("() => { for (let k = 0; k < 300; k++) document.querySelector('#run').click(); }")
    expect(page.locator(".run-card")).to_have_count(2)
    done(page)
    expect(page.locator("#stop")).to_be_disabled()
    ask_example(page, 1)
    expect(page.locator(".run-card")).to_have_count(0)


def test_a_tab_that_is_closed_half_way_leaves_the_model_to_others(page: Page, app: str) -> None:
    other = page.context.new_page()
    other.goto(app)
    ask_example(other, 0)
    other.get_by_role("tab", name="Budget").click()
    other.locator("#swept-methods input").click()
    for _ in range(12):
        other.locator("#swept-methods input").press("Enter")
    other.locator("#start-budgets").click()
    expect(other.locator("#status-budgets")).to_contain_text("1 of")
    other.close()
    ask_example(page, 1)


def test_two_tabs_do_not_mix(page: Page, app: str) -> None:
    tabs = [page, page.context.new_page()]
    tabs[1].goto(app)
    expect(tabs[1].locator(".cx")).to_have_attribute("data-stage", "empty")
    for index, tab in enumerate(tabs):
        tab.locator(".ex-button").nth(index).click()
    for index, tab in enumerate(tabs):
        expect(tab.locator(".cx-question")).to_have_text(f"“{EXAMPLES[index]['question']}”")
        done(tab)
        assert result(tab).question == EXAMPLES[index]["question"]
    for tab in tabs:
        tab.get_by_role("button", name="Run", exact=True).click()
    for index, tab in enumerate(tabs):
        expect(tab.locator(".run-card")).to_have_count(2)
        assert result(tab).question == EXAMPLES[index]["question"]
