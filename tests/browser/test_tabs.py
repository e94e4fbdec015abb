"""Layers, tokens, methods, budgets, places and the lesson, as a visitor uses them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import EXAMPLES, PATIENCE, WATCHES, Watch, ask_example, done, result, settled
from ui.views.lesson import STEPS


@pytest.mark.answered
def test_two_layers_stand_side_by_side(page: Page, watch: Watch) -> None:
    trace = result(page).crop.trace
    one, other = (page.locator(".cx-layer").nth(k) for k in (0, 1))
    first, second = page.get_by_label("LLM layer", exact=True), page.get_by_label("Second LLM layer")
    first.fill("1")
    page.wait_for_url("**/*layer=1*")  # which is written when the layer stands still, as its figure is begun
    settled(page)
    before = len(watch.requests)
    page.get_by_role("button", name="Compare two layers").click()
    last = trace.layers - 1
    expect(one).to_contain_text("Layer 1 (")
    expect(other).to_contain_text(f"Layer {last} (0–")
    page.get_by_role("button", name="Difference").click()
    expect(other).to_contain_text(f"Between layers 1 and {last}")
    between = int(trace.alive_counts[1]) - trace.final_tokens
    expect(other.locator(".cx-legend")).to_contain_text(f"pruned between{between}")
    page.get_by_role("button", name="Difference").click()
    second.focus()
    second.press("Home")
    expect(other).to_contain_text("Layer 0 (")
    assert watch.requests[before:] == []
    page.get_by_role("button", name="Move both").click()
    first.press("ArrowRight")
    expect(one).to_contain_text("Layer 2 (")
    expect(other).to_contain_text("Layer 1 (")
    page.get_by_role("button", name="Move both").click()
    second.press("End")
    page.get_by_role("button", name="Compare two layers").click()
    expect(second).to_be_hidden()
    first.press("End")
    page.get_by_role("button", name="Compare two layers").click()
    expect(one).to_contain_text("Layer 0 (")  # the same layer twice would tell nothing
    expect(other).to_contain_text(f"Layer {last} (0–")
    page.get_by_role("button", name="Compare two layers").click()


@pytest.mark.answered
def test_a_token_and_its_row_are_one_click_apart(page: Page) -> None:
    trace = result(page).crop.trace
    page.get_by_text("Every visual token in a table").click()
    rows = page.locator(".cx-table tbody tr")
    expect(rows).to_have_count(25)
    canvas = page.locator(".cx-panel").nth(1).locator("canvas")
    box = canvas.bounding_box()
    assert box
    canvas.click(position={"x": box["width"] - 4, "y": box["height"] - 4})
    pinned = page.locator(".cx-table tr.cx-pinned")
    expect(pinned.locator("th")).to_have_text(str(trace.visual_tokens - 1))
    before = canvas.screenshot()
    page.locator(".cx-table").get_by_role("button", name="Back").click()
    expect(rows).to_have_count(25)
    rows.nth(0).get_by_role("button").click()
    expect(pinned).to_have_count(1)
    assert canvas.screenshot() != before
    head = page.locator(".cx-table thead").get_by_role("button", name="pruned at layer")
    head.click()
    head.click()
    expect(rows.nth(0)).to_contain_text("never")


@pytest.mark.answered
def test_the_legend_shows_one_ring_alone(page: Page) -> None:
    canvas, key = page.locator(".cx-panel").nth(1).locator("canvas"), page.locator(".cx-key").nth(0)
    page.mouse.move(0, 0)
    before = canvas.screenshot()
    key.click()
    expect(key).to_have_attribute("aria-pressed", "true")
    page.mouse.move(0, 0)
    assert canvas.screenshot() != before
    page.locator(".cx-key").nth(0).click()
    page.mouse.move(0, 0)
    assert canvas.screenshot() == before


@pytest.mark.answered
def test_methods_stand_side_by_side_at_one_budget(page: Page) -> None:
    page.get_by_role("tab", name="Methods").click()
    page.locator("#start-methods").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")
    expect(page.locator(".cx-method")).to_have_count(5)
    expect(page.locator(".cx-method").nth(0)).to_contain_text("Baseline")
    expect(page.locator("#methods-table")).to_contain_text("DivPrune")
    page.get_by_text("Difference between two methods").click()
    difference = page.locator(".cx-methods-difference")
    expect(difference.locator(".cx-caption b")).to_have_text(["CROP", "DivPrune"])
    counts = [int(row.split("of")[0]) for row in difference.locator(".cx-legend span").all_inner_texts()]
    assert sum(counts) == 576 and len(counts) == 4 and counts[3] > 0
    page.get_by_label("Second method").select_option(label="Baseline")
    expect(difference.locator(".cx-legend li").nth(1)).to_contain_text("only by CROP0 of 576")
    expect(difference.locator(".cx-legend li").nth(3)).to_contain_text("by none0 of 576")


def test_localizers_stand_side_by_side(page: Page) -> None:
    ask_example(page, 0)
    page.get_by_role("tab", name="Methods").click()
    page.locator("#compared").get_by_label("localizers").check()
    expect(page.locator("#chosen-methods")).to_be_hidden()
    expect(page.locator("#chosen-localizers")).to_be_visible()
    page.get_by_role("button", name="Compare localizers").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 3 runs")
    expect(page.locator(".cx-method h4, .cx-method h3")).to_contain_text(["Baseline", "the app's localizer", "self"])
    expect(page.locator("#methods-table")).to_contain_text("localizer, ms")
    WATCHES[page].wait(page)


def test_a_budget_is_swept_and_a_sweep_is_stopped(page: Page) -> None:
    ask_example(page, 0)
    page.get_by_role("tab", name="Budget").click()
    expect(page.locator("#stop-budgets")).to_be_disabled()
    page.locator("#start-budgets").click()
    expect(page.locator("#budget-curves .main-svg").first).to_be_visible()
    expect(page.locator("#status-budgets")).to_contain_text("Done: 24 runs", timeout=3 * PATIENCE)
    expect(page.locator("#budget-curves")).to_contain_text(re.compile("CROP: (no flip|flips at)"))
    expect(page.locator("#stop-budgets")).to_be_disabled()
    for method in ("fastv", "sparsevlm", "plc+dart", "scope+fastv"):  # so that there is something to stop
        page.locator("#swept-methods input").fill(method)
        page.locator("#swept-methods input").press("Enter")
    page.locator("#start-budgets").click()
    expect(page.locator("#status-budgets")).to_contain_text(re.compile("Starting|of 56"))
    page.locator("#stop-budgets").click()
    expect(page.locator("#status-budgets")).to_contain_text("Stopped")
    expect(page.locator("#stop-budgets")).to_be_disabled()
    page.get_by_role("tab", name="Explore").click()
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)  # the model is free again


@pytest.mark.answered
def test_the_map_of_where_the_answer_lives(page: Page) -> None:
    page.get_by_text("Where does the answer live?").click()
    page.locator("#start-places").click()
    expect(page.locator("#status-places")).to_contain_text("Done: 64 runs", timeout=90_000)
    expect(page.locator("#answer-map .main-svg").first).to_be_visible()


def start_lesson(page: Page) -> None:
    """The lesson's first step."""
    page.locator("#take-lesson").click()
    expect(page.locator(".cx")).to_have_attribute("data-stage", "predict")


def predict(page: Page, place: int) -> None:
    """Predicts the right choice of the lesson's step on the page, or moves the region that is to be drawn; reveals."""
    step = STEPS[place]
    expect(page.locator("#lesson-text")).to_contain_text(f"{place + 1} of {len(STEPS)}. {step.title}")
    question = next(row["question"] for row in EXAMPLES if row["image"] == step.image)
    expect(page.locator(".cx-question")).to_have_text(f"“{question}”")
    expect(page.locator(".cx")).to_have_attribute("data-stage", "predict")
    if step.draws:
        expect(page.get_by_role("button", name="Done drawing")).to_be_visible()
        page.locator("#lesson-next").click()
        expect(page.locator("#lesson-verdict")).to_contain_text("draw a region")
        page.locator(".cx-panel canvas").first.press("ArrowLeft")
    else:
        page.locator("#lesson-choice label").nth(RIGHT[place]).click()
    page.locator("#lesson-next").click()
    expect(page.locator("#lesson-verdict")).to_contain_text("in both." if step.draws else "Right.")


RIGHT = [{"Why prune?": 0}.get(step.title, 2) for step in STEPS]  # of the choices, with the bundled models


def test_the_lesson_leads_through_the_app(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="64 of 576").check()
    start_lesson(page)
    expect(page.locator("#question")).to_be_hidden()
    page.locator("#lesson-next").click()
    expect(page.locator("#lesson-verdict")).to_contain_text("Predict first")
    for place, step in enumerate(STEPS):
        predict(page, place)
        expect(page.locator("#chips")).to_contain_text(f"{step.budget} of 576")
        expect(page.locator("#chips")).to_contain_text("for this example only")
        page.locator("#lesson-next").click()
    expect(page.locator("#lesson-summary li")).to_have_count(len(STEPS))
    expect(page.locator("#chips")).to_have_text("Next run:CROP64 of 576region predicted")
    expect(page.locator(".cx")).to_have_attribute("data-stage", "done")  # and the last one is not asked once more
    page.locator("#lesson-end").click()
    expect(page.locator("#lesson")).to_be_hidden()
    expect(page.locator("#question")).to_be_visible()


IN_VIEW = """(selector) => {
  const lesson = document.querySelector('#lesson-text').getBoundingClientRect();
  const part = document.querySelector(selector).getBoundingClientRect();
  const bar = document.querySelector('#inputs').getBoundingClientRect();
  const clear = part.top >= (bar.width > 500 || innerWidth < 500 ? bar.bottom : 0) - 1;
  return lesson.top >= -1 && lesson.bottom > 0 && clear && part.bottom <= innerHeight + 1;
}"""


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_lesson_stays_in_sight_with_what_it_is_about(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    start_lesson(page)
    region = ".cx-panel .cx-stage"
    page.wait_for_function(IN_VIEW, arg=region)
    parts = {"answers": ".cx-answers .cx-card", "region": region, "compression": ".cx-panel:nth-child(2) .cx-stage"}
    for place, step in enumerate(STEPS[:4]):
        page.wait_for_function(IN_VIEW, arg=region)
        predict(page, place)
        page.wait_for_function(IN_VIEW, arg=parts[step.part])
        page.locator("#lesson-next").click()


def test_a_step_is_left_for_another_tab_and_come_back_to(page: Page) -> None:
    start_lesson(page)
    back = page.locator("#lesson-return")
    expect(back).to_be_hidden()
    page.get_by_role("tab", name="Budget").click()
    expect(page.locator("#lesson-text")).to_be_in_viewport()
    back.click()
    expect(page.locator(".cx-question")).to_be_visible()
    expect(back).to_be_hidden()


def test_a_step_that_is_left_during_its_run_does_not_come_back(page: Page) -> None:
    start_lesson(page)
    page.locator("#lesson-choice label").nth(0).click()
    page.locator("#lesson-next").click()
    expect(page.locator("#lesson-next")).to_have_text("Next")
    page.locator("#lesson-next").click()
    expect(page.locator("#lesson-text")).to_contain_text("2 of 7")
    expect(page.get_by_role("button", name="Done drawing")).to_be_visible()
    page.wait_for_timeout(2500)
    expect(page.locator(".cx")).to_have_attribute("data-stage", "predict")


def test_class_mode_shows_no_inputs_and_a_code_and_starts_over(page: Page) -> None:
    ask_example(page, 2)
    page.get_by_role("tab", name="Learn").click()
    page.locator("#class-mode").click()
    page.get_by_role("tab", name="Explore").click()
    for hidden in ("#question", ".page-head p >> nth=0", "#settings-line"):
        expect(page.locator(hidden)).to_be_hidden()
    code = page.locator(".qr-code")
    expect(code).to_be_visible()
    assert code.evaluate("(image) => image.naturalWidth") > 20
    assert "class=1" in page.url
    settled_url = page.url
    WATCHES[page].wait(page)
    page.get_by_role("button", name="Start over").click()
    expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
    assert page.url != settled_url and page.url.endswith("?class=1")
    expect(page.locator("#question")).to_be_hidden()
    page.get_by_role("button", name="Leave class mode").click()
    expect(page.locator("#question")).to_be_visible()
    assert "class" not in page.url


def test_a_failure_is_asked_again_at_its_budget(page: Page) -> None:
    page.get_by_role("tab", name="Learn").click()
    page.locator(".fail-card").nth(0).click()
    expect(page.locator(".cx-verdict")).to_contain_text("changed the answer")
    assert result(page).crop.trace.mean_tokens <= 64


def test_a_link_brings_a_run_back(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="64 of 576").check()
    ask_example(page, 2)
    link = page.locator("#link textarea, #link input")
    expect(link).to_have_value(re.compile(r"^http://127.0.0.1.*example=03.jpg"))
    address = link.input_value()
    settled(page)  # nothing is under way that leaving would break off
    page.goto(address)
    expect(page.locator(".cx-question")).to_have_text(f"“{EXAMPLES[2]['question']}”")
    done(page)
    assert result(page).crop.trace.mean_tokens <= 64
    settled(page)
    page.goto(address.replace("budget=64", "budget=magic"))
    expect(page.locator("#message [role=alert]")).to_contain_text("magic")
