from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from crop_core.train.world.question import KINDS
from tests.support.browser import EXAMPLES, SQUARE, Watch, ask_example, done, png, result, settled, upload


def test_there_are_examples_of_every_kind() -> None:
    assert len(EXAMPLES) >= 12
    assert {row["kind"] for row in EXAMPLES} == set(KINDS)


MODULES = (
    "() => [...document.querySelectorAll('script[type=module]')].filter((s) => s.text.includes('cropViews')).length"
)


def test_the_page_works_again_after_a_reload_and_at_a_second_visit(page: Page, app: str) -> None:
    for come_back in (page.reload, lambda: page.goto(app)):
        ask_example(page, SQUARE)
        settled(page)
        come_back()
        expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
    ask_example(page, SQUARE)
    settled(page)
    assert page.evaluate(MODULES) == 1


def test_the_page_opens_on_a_recorded_run_that_needs_no_model(page: Page, watch: Watch) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answers")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the answers")).to_be_in_viewport()
    expect(page.locator(".cx-question")).to_have_text(f"“{EXAMPLES[0]['question']}”")
    expect(page.locator(".cx-crop .cx-answer")).to_have_text(EXAMPLES[0]["answer"])
    expect(page.locator(".cx-hint")).to_contain_text("A recorded run of the first example, made by crop-tiny.")
    page.get_by_label("LLM layer", exact=True).fill("2")
    expect(page.locator(".cx-pruning")).to_have_attribute("data-layer", "2")
    assert not [url for url in watch.requests if "queue/join" in url and "run" in url]
    expect(page.get_by_role("button", name="Measure again")).to_be_hidden()
    page.locator("#question textarea").focus()
    expect(page.locator("#question textarea")).to_have_css("outline-style", "solid")


def test_a_question_about_the_scene_that_the_page_opens_on_is_answered(page: Page) -> None:
    expect(page.locator("#image img")).to_be_visible()
    page.get_by_role("button", name="What does the sign say?", exact=True).click()
    expect(page.locator("#question textarea")).to_have_value("What does the sign say?")
    page.locator("#question textarea").fill("what is left of the car?")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)
    expect(page.locator(".cx-question")).to_have_text("“what is left of the car?”")
    box = page.locator(".cx-auto input")
    box.check()
    expect(box).to_have_css("appearance", "auto")  # drawn by the browser, so that its tick is seen
    page.emulate_media(media="print")
    for part in (".cx-card.cx-crop", ".cx-readout"):
        expect(page.locator(part).first).to_have_css("print-color-adjust", "exact")
    expect(page.locator(".gradio-container").first).to_have_css("overflow", "visible")  # clipped, pages are lost
    expect(page.locator("#start-over")).to_be_hidden()
    page.emulate_media(media="screen")


def test_on_a_phone_an_answer_is_scrolled_to_whether_it_is_new_or_kept(app: str, browser: Browser) -> None:
    for _ in range(2):
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.goto(app)
        expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
        page.locator(".ex-button").nth(SQUARE).click()
        done(page)
        expect(page.locator(".cx-question")).to_be_in_viewport()
        context.close()


def test_the_lesson_starts_at_the_top_of_the_page(page: Page) -> None:
    page.get_by_role("button", name="Take the 10-minute lesson").click()
    expect(page.locator("#lesson-text")).to_contain_text("1 of 7")
    expect(page.locator(".cx")).to_have_attribute("data-stage", "predict")


def test_every_example_is_answered(page: Page) -> None:
    expect(page.locator(".ex-button")).to_have_count(len(EXAMPLES))
    for index in range(len(EXAMPLES)):
        ask_example(page, index)
        for kind in ("baseline", "crop"):
            expect(page.locator(f".cx-card.cx-{kind} .cx-answer")).not_to_have_text("—")
        expect(page.locator(".cx-readout")).to_have_count(8)
        expect(page.locator("#question textarea")).to_have_value(EXAMPLES[index]["question"])


@pytest.mark.answered
def test_scrubbing_draws_every_layer_without_the_server(page: Page, watch: Watch) -> None:
    trace = result(page).crop.trace
    slider, panel = page.get_by_label("LLM layer", exact=True), page.locator(".cx-pruning")
    settled(page)
    before = len(watch.requests)
    slider.focus()
    slider.press("Home")
    for layer, alive in enumerate(trace.alive_counts.tolist()):
        expect(panel).to_have_attribute("data-layer", str(layer))
        expect(panel).to_have_attribute("data-alive", str(alive))
        expect(page.locator(".cx-now").first).to_contain_text(f"{alive} of {trace.visual_tokens} alive")
        slider.press("ArrowRight")
    assert watch.requests[before:] == []


@pytest.mark.answered
def test_the_play_button_runs_to_the_last_layer(page: Page) -> None:
    page.get_by_role("button", name="Play the layers").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    last = page.get_by_label("LLM layer", exact=True).get_attribute("max")
    expect(page.locator(".cx-pruning")).to_have_attribute("data-layer", str(last))
    expect(page.get_by_role("button", name="Play the layers")).to_be_visible()


@pytest.mark.answered
def test_the_curve_sets_the_layer(page: Page) -> None:
    curve = page.locator(".cx-curve")
    box = curve.bounding_box()
    assert box
    curve.click(position={"x": box["width"] * 0.97, "y": box["height"] / 2})
    last = page.get_by_label("LLM layer", exact=True).get_attribute("max")
    expect(page.locator(".cx-pruning")).to_have_attribute("data-layer", str(last))


@pytest.mark.answered
def test_hovering_tells_position_group_and_fate(page: Page, watch: Watch) -> None:
    settled(page)
    before = len(watch.requests)
    canvas = page.locator(".cx-panel").nth(1).locator("canvas")
    canvas.hover(position={"x": 5, "y": 5})
    tip = page.locator(".cx-panel").nth(1).locator(".cx-tip")
    expect(tip).to_contain_text("Visual token 0")
    expect(tip).to_contain_text("column 0, row 0")
    expect(tip).to_contain_text("attended to more than")
    picture, text = canvas.bounding_box(), tip.bounding_box()
    assert picture and text
    apart = text["y"] >= picture["y"] + picture["height"] or text["y"] + text["height"] <= picture["y"]
    assert apart, "it covers nothing of the image"
    assert watch.requests[before:] == []


def test_a_drawn_region_is_used(page: Page) -> None:
    ask_example(page, SQUARE)
    page.get_by_role("button", name="Draw a region").click()
    canvas = page.locator(".cx-panel").nth(0).locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.30, box["y"] + box["height"] * 0.05)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.70, box["y"] + box["height"] * 0.45, steps=5)
    page.mouse.up()
    expect(page.get_by_role("radio", name="Drawn")).to_be_checked()
    expect(page.get_by_label("Left column")).to_have_value("2")
    expect(page.get_by_label("Bottom row")).to_have_value("3")
    page.get_by_role("button", name="Done drawing").click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".cx-panel").nth(0)).to_contain_text("Drawn by hand: columns 2–5, rows 0–3")
    expect(page.locator(".run-card")).to_have_count(2)
    region = result(page).region
    assert (region.grid, region.source, region.confidence) == ((2, 0, 5, 3), "drawn", None)


def pull(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags from one place of the region's box to another, both in shares of the box."""
    page.locator(".cx-box").scroll_into_view_if_needed()
    box = page.locator(".cx-box").bounding_box()
    assert box
    for at, act in ((start, page.mouse.down), (end, page.mouse.up)):
        page.mouse.move(box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1], steps=6)
        act()


def test_the_predicted_region_is_dragged_resized_and_asked_again(page: Page) -> None:
    ask_example(page, SQUARE)
    first = result(page).region
    label = page.locator(".cx-box").get_attribute("aria-label")
    panel = page.locator(".cx-panel").nth(0)
    width, height = first.x1 - first.x0 + 1, first.y1 - first.y0 + 1
    left = 1 if first.x0 == 0 else -1
    pull(page, (0.5, 0.4), (0.5 + left / width, 0.4))
    moved = (first.x0 + left, first.y0, first.x1 + left, first.y1)
    expect(panel).to_contain_text(f"columns {moved[0]}–{moved[2]}")
    expect(panel).to_contain_text("Not run yet")
    page.get_by_role("button", name="Reset the region").click()
    expect(page.locator(".cx-box")).to_have_attribute("aria-label", label)
    pull(page, (1, 1), (1 - 1 / width, 1 - 1 / height))  # its lower right corner
    page.get_by_role("button", name="Run with this region").click()
    expect(page.locator(".run-card")).to_have_count(2)
    smaller = result(page).region
    assert smaller.grid == (first.x0, first.y0, max(first.x0, first.x1 - 1), max(first.y0, first.y1 - 1))
    assert smaller.source == "drawn"
    page.locator(".run-card").nth(1).click()
    expect(panel).to_contain_text("Predicted by the localizer")
    expect(page.locator(".run-card").nth(1)).to_have_attribute("aria-current", "true")
    assert result(page).region == first


def test_the_region_is_moved_with_keys_and_asked_about_by_itself(page: Page) -> None:
    ask_example(page, SQUARE)
    first = result(page).region
    page.get_by_label("Run again automatically").check()
    page.locator(".cx-box").press("ArrowLeft" if first.x0 else "ArrowRight")
    expect(page.locator(".run-card")).to_have_count(2)
    second = result(page).region
    assert (second.x0, second.y0) == (first.x0 + (-1 if first.x0 else 1), first.y0)
    page.locator(".ex-button").nth(SQUARE + 1).click()
    expect(page.get_by_role("radio", name="Predicted")).to_be_checked()
    done(page)


def test_downloads_wait_for_the_files_of_the_new_result(page: Page) -> None:
    ask_example(page, 0)
    result(page)
    page.evaluate(
        """() => {
          const buttons = ["#save-record", "#save-figure"].map((id) => document.querySelector(id));
          const look = () => { window.withdrawn ||= buttons.every((button) => button.disabled); };
          buttons.forEach((button) => new MutationObserver(look).observe(button, { attributes: true }));
        }"""
    )
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("window.withdrawn")  # which may be short
    result(page)  # which waits until they can be had again


def test_a_region_is_drawn_with_keys_alone(page: Page) -> None:
    ask_example(page, 0)
    page.get_by_role("radio", name="Drawn").check()
    for name, value in (("Left column", 1), ("Top row", 1), ("Right column", 2), ("Bottom row", 2)):
        page.get_by_label(name).fill(str(value))
    page.get_by_role("button", name="Draw a region").press("Enter")
    canvas = page.locator(".cx-panel").nth(0).locator("canvas")
    expect(canvas).to_be_focused()
    canvas.press("ArrowRight")
    canvas.press("Shift+ArrowDown")
    expect(page.get_by_label("Left column")).to_have_value("2")
    expect(page.get_by_label("Bottom row")).to_have_value("3")


def test_the_whole_image_can_be_the_region(page: Page) -> None:
    page.get_by_role("radio", name="Whole").check()
    ask_example(page, 0)
    expect(page.locator(".cx-panel").nth(0)).to_contain_text("64 of 64 cells")


def test_an_upload_is_shown_at_once_and_asked(page: Page) -> None:
    upload(page, png(400, 300))
    expect(page.locator(".cx")).to_have_attribute("data-stage", "idle")
    page.locator("#question textarea").fill("what is left of the dog?")
    page.locator("#question textarea").press("Enter")
    done(page)
    assert result(page).crop.trace.image_size == (400, 300)


@pytest.mark.parametrize(
    "file",
    [
        {"name": "note.txt", "mimeType": "text/plain", "buffer": b"not an image"},
        {"name": "cut.png", "mimeType": "image/png", "buffer": bytes(png(64, 64)["buffer"])[:60]},  # type: ignore[call-overload]
        png(20000, 10),
    ],
    ids=["text", "truncated", "strip"],
)
def test_a_bad_image_keeps_what_is_on_screen(page: Page, file: dict[str, object]) -> None:
    ask_example(page, 0)
    before = page.locator(".cx-bill").inner_text()
    upload(page, file | {"name": "picture.png", "mimeType": "image/png"})
    expect(page.locator("#message [role=alert]")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#message [role=alert]")).to_be_visible()
    expect(page.locator(".cx")).to_have_attribute("data-stage", "done")
    assert page.locator(".cx-bill").inner_text() == before


def test_a_bad_question_or_setting_keeps_what_is_on_screen(page: Page) -> None:
    ask_example(page, 0)
    before, question = page.locator(".cx-bill").inner_text(), page.locator("#question textarea")
    alert, run = page.locator("#message [role=alert]"), page.get_by_role("button", name="Run", exact=True)
    for text in ("   ", "why? " * 300):
        question.fill(text)
        run.click()
        expect(alert).to_contain_text("question")
    question.fill("what is left of the dog?")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Custom").check()
    for text, word in (("0", "budget"), ("0.5", "budget"), ("lots", "budget")):
        page.get_by_label("Custom budget").fill(text)
        run.click()
        expect(alert).to_contain_text(text if text != "lots" else word)
    page.get_by_label("Custom budget").fill("200")
    page.get_by_label("PLC rings").fill("near:far")
    run.click()
    expect(alert).to_contain_text("PLC rings")
    assert page.locator(".cx-bill").inner_text() == before
    page.get_by_label("PLC rings").fill("1:4, rest:36")
    run.click()
    expect(alert).to_have_count(0)
    expect(page.locator(".cx-question")).to_have_text("“what is left of the dog?”")
    done(page)


def test_a_budget_that_removes_nothing_is_told(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Custom budget").fill("100%")
    ask_example(page, 0)
    expect(page.locator(".cx-notices")).to_contain_text("Nothing was pruned")
    for key in ("ttft", "total"):
        expect(page.locator(f'.cx-readout[data-key="{key}"]')).to_contain_text("Ranges:")
    expect(page.locator('.cx-readout[data-key="mean_tokens"]')).to_contain_text("no change")


def test_unknown_words_are_told(page: Page) -> None:
    upload(page, png(64, 64))
    page.locator("#question textarea").fill("is there a xylophone?")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)
    expect(page.locator(".cx-notices")).to_contain_text("xylophone")


@pytest.mark.answered
def test_figures_and_the_image_are_offered(page: Page) -> None:
    settled(page)
    with page.expect_download() as download:
        page.locator("#save-figure").click()
    with Image.open(download.value.path()) as sheet:
        assert sheet.width > 2000


def test_nothing_jumps_while_an_answer_comes_in(page: Page) -> None:
    ask_example(page, 0)
    page.evaluate(
        """() => {
          const panels = document.querySelector(".cx-panels");
          window.tops = [];
          const look = () => { window.tops.push(Math.round(panels.offsetTop)); requestAnimationFrame(look); };
          look();
        }"""
    )
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".cx")).to_have_attribute("data-stage", re.compile("baseline|crop|compare|measure"))
    done(page)
    tops = page.evaluate("window.tops")
    assert len(tops) > 10 and len(set(tops)) == 1, sorted(set(tops))
