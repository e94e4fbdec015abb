"""What a visitor tries by hand: tokens, regions while times are measured, runs of the open tab, opened runs."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.support.browser import EXAMPLES, SQUARE, ask_example, done, measuring, result, saved


def stroke(page: Page, canvas: Locator, *points: tuple[float, float]) -> None:
    """Drags over the canvas, through points in shares of its width and height."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=30)
    page.mouse.up()


def test_tokens_are_removed_and_restored_and_asked_without(page: Page) -> None:
    ask_example(page, SQUARE)
    page.get_by_text("Tokens by hand").click()
    folded = page.locator("details", has_text="Tokens by hand")
    part, canvas = folded.locator(".cx-brushside"), folded.locator(".cx-brush canvas")
    expect(part).to_contain_text("576 of 576 tokens are left, 0 removed.")
    stroke(page, canvas, (0.02, 0.02), (0.98, 0.02))
    expect(part).to_contain_text("552 of 576 tokens are left, 24 removed.")
    part.get_by_role("button", name="Undo").click()
    expect(part).to_contain_text("576 of 576 tokens are left, 0 removed.")
    canvas.focus()
    for key in ("ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    expect(part).to_contain_text("575 of 576 tokens are left, 1 removed.")
    part.get_by_role("button", name="Ask with these tokens").click()
    tried = page.locator(".cx-tried li")
    expect(tried).to_have_count(1)
    expect(tried).to_contain_text("575 of 576 tokens: Same answer")
    part.get_by_role("button", name="Swap removed and left").click()
    part.get_by_role("button", name="Ask with these tokens").click()
    expect(tried).to_have_count(2)
    expect(tried.first).to_contain_text("1 of 576 tokens")
    part.get_by_role("button", name="All").click()
    expect(part).to_contain_text("576 of 576 tokens are left")
    ask_example(page, 0)
    expect(tried).to_have_count(0)


def test_a_region_that_is_drawn_while_times_are_measured_stays(page: Page) -> None:
    page.locator(".ex-button").nth(SQUARE).click()
    measuring(page, EXAMPLES[SQUARE]["question"])
    page.get_by_role("button", name="Draw a region").click()
    page.locator(".cx-panel").nth(0).locator("canvas").press("ArrowLeft")
    page.get_by_role("button", name="Done drawing").click()
    drawn = page.locator(".cx-panel").nth(0).locator(".cx-caption").first
    expect(drawn).to_contain_text("Not run yet.")
    before = drawn.inner_text()
    done(page)
    expect(drawn).to_have_text(before)
    expect(page.get_by_role("button", name="Run with this region")).to_be_visible()


def test_run_and_enter_start_what_the_open_tab_has_and_examples_lead_to_explore(page: Page) -> None:
    ask_example(page, SQUARE)
    page.get_by_role("tab", name="Methods").click()
    expect(page.locator("#stop-methods")).to_be_disabled()
    page.locator("#run").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")
    expect(page.locator("#stop-methods")).to_be_disabled()
    page.locator("#question textarea").fill("is there a dog?")
    expect(page.locator("#status-methods")).to_contain_text("These results are of other inputs")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")
    page.locator("#question textarea").fill("")
    page.locator("#run").click()
    expect(page.locator("#status-methods")).to_contain_text("The question is empty")
    page.locator(".ex-button").nth(0).click()
    expect(page.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".cx-question")).to_have_text(f"“{EXAMPLES[0]['question']}”")


def test_an_opened_run_says_so_and_is_asked_again(page: Page, tmp_path: Path) -> None:
    ask_example(page, SQUARE)
    recorded = result(page)
    file = tmp_path / "run.json"
    file.write_bytes(saved(page, "#save-record"))
    ask_example(page, 0)
    page.get_by_text("Open recorded runs").click()
    page.locator("#open input[type=file]").set_input_files(file)
    expect(page.locator(".cx-hint")).to_contain_text("A recorded run, from “run.json”")
    expect(page.locator("#question textarea")).to_have_value(recorded.question)
    page.locator("#run").click()
    expect(page.locator(".cx-hint")).to_be_hidden()
    done(page)
    again = result(page)
    assert (again.question, again.method, again.budget) == (recorded.question, recorded.method, recorded.budget)
    assert again.crop.text == recorded.crop.text
    assert json.loads(file.read_text())["question"] == again.question


def test_a_panel_fills_the_window_until_escape(page: Page) -> None:
    ask_example(page, SQUARE)
    panel = page.locator(".cx-panel").nth(2)
    panel.get_by_role("button", name="Enlarge").click()
    size = panel.evaluate("(each) => [each.clientWidth, each.clientHeight]")
    assert size[0] > 1380 and size[1] > 980
    page.keyboard.press("Escape")
    expect(page.locator(".cx-large")).to_have_count(0)
    expect(panel.get_by_role("button", name="Enlarge")).to_be_focused()


def test_stop_says_that_it_stopped(page: Page) -> None:
    page.locator("#question textarea").fill("How many signs can you see here?")  # which nobody has asked
    page.locator("#run").click()
    expect(page.locator("#stop")).to_be_enabled()
    page.locator("#stop").click()
    expect(page.locator("#message")).to_contain_text("Stopped.")
