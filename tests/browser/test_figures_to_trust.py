"""Figures that can be trusted: measured after the answer, padding and regions by their name, settings in sight."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from crop_core.records.timing import NOT_MEASURED
from tests.support.browser import EXAMPLES, SQUARE, ask_example, done, measuring, press_once, result, settled

PADDED = next(index for index, row in enumerate(EXAMPLES) if row["image"] == "01.jpg")  # 336 by 252 pixels
FAILING = next(index for index, row in enumerate(EXAMPLES) if row["pruning_fails"])
CHIPS, HEADING = "#chips", ".cx-card.cx-crop h3"


def choose_method(page: Page, name: str) -> None:
    """Chooses a method in the settings."""
    if page.locator("#method").is_hidden():
        page.get_by_role("button", name="Settings").click()
    page.locator("#method input").click()
    page.get_by_role("option", name=name).click()


VEILED = """() => {
  const canvas = document.querySelectorAll(".cx-panel")[1].querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const near = (value, wanted) => Math.abs(value - wanted) < 14;
  let count = 0;
  for (let k = 0; k < data.length; k += 4) count += near(data[k], 229) && near(data[k + 2], 239);
  return count / (data.length / 4);
}"""
PLACE = "(legend) => [legend.offsetLeft, legend.offsetTop, legend.offsetWidth, legend.offsetHeight]"
WATCH = """() => {
  window.seen = [];
  const root = document.querySelector(".cx");
  const text = (selector) => document.querySelector(selector).textContent;
  const look = () =>
    window.seen.push([root.dataset.stage, text(".cx-verdict"), text(".cx-costs [role=status]")]);
  new MutationObserver(look).observe(root, { attributes: true, attributeFilter: ["data-drawn", "data-stage"] });
}"""


def test_answers_and_images_come_first_then_times_are_measured_and_measured_again(page: Page) -> None:
    page.evaluate(WATCH)
    ask_example(page, SQUARE)
    _, verdict, times = next(each for each in page.evaluate("window.seen") if each[0] == "measure")
    assert "Same answer" in verdict and times.startswith("Measuring"), "the verdict is there before the times"
    ttft = page.locator('.cx-readout[data-key="ttft"]')
    expect(ttft.locator(".cx-whisker")).to_have_count(2)
    expect(ttft).to_contain_text("Ranges:")
    expect(page.locator(".cx-costs [role=status]")).to_have_text(
        "Times are medians and ranges of 5 runs of each, in turn, after the answers."
    )
    expect(page.locator('.cx-readout[data-key="kv"] .cx-whisker')).to_have_count(0)
    before = result(page).crop.cost
    page.get_by_role("button", name="Measure again").click()
    measuring(page, EXAMPLES[SQUARE]["question"])
    done(page)
    after = result(page).crop.cost
    assert len(before.runs) == len(after.runs) == 5 and before.runs != after.runs
    assert (before.kv_bytes, before.flops, before.peak_bytes) == (after.kv_bytes, after.flops, after.peak_bytes)
    expect(page.locator(".run-card")).to_have_count(0)  # it is the same run


def test_padding_is_a_class_of_its_own(page: Page) -> None:
    ask_example(page, PADDED)
    trace = result(page).crop.trace
    assert trace.padding_tokens == 144
    key = page.locator(".cx-panel").nth(1).locator(".cx-key", has_text="padding")
    expect(key).to_contain_text(f"144 → {int((trace.input_ring == -1).sum())}")
    rings = page.locator(".cx-panel").nth(1).locator("button.cx-key")
    counted = [int(text.split("→")[0].split("retained")[0].split()[-1]) for text in rings.all_inner_texts()]
    assert sum(counted) == 576 - 144
    expect(page.locator('.cx-readout[data-key="mean_tokens"]')).to_contain_text("144 of the 576 tokens are padding")
    canvas = page.locator(".cx-panel").nth(1).locator("canvas")
    page.mouse.move(0, 0)
    plain = canvas.screenshot()
    for ring in range(rings.count()):
        rings.nth(ring).click()
        page.mouse.move(0, 0)
        assert canvas.screenshot() != plain
        assert page.evaluate(VEILED) < 0.98, "what is highlighted is on the image"
        rings.nth(ring).click()
    page.get_by_text("Every visual token in a table").click()
    first = page.locator(".cx-table tbody tr").first
    expect(first).to_contain_text("padding")
    assert first.locator("td").all_inner_texts()[:3] == ["–", "–", "–"]


@pytest.mark.answered
def test_the_third_panel_has_a_legend_and_opens_on_the_last_layer(page: Page) -> None:
    trace = result(page).crop.trace
    panel = page.locator(".cx-pruning")
    legend = panel.locator(".cx-layer").first.locator(".cx-legend")
    ask_example(page, SQUARE)
    settled(page)  # what is drawn again has no place for a moment
    expect(panel).to_have_attribute("data-layer", str(trace.layers - 1))
    expect(legend).to_contain_text(f"alive{trace.final_tokens}")
    slider, high = page.get_by_label("LLM layer", exact=True), legend.evaluate(PLACE)
    for layer in (trace.steps[0].layer, trace.steps[-1].layer):
        slider.fill(str(layer))
        here = trace.alive_counts[layer - 1] - trace.alive_counts[layer]
        expect(legend).to_contain_text(f"pruned at this layer{here}")
        assert legend.evaluate(PLACE) == high, "nothing jumps at a cut"


def test_a_method_without_a_region_shows_none(page: Page) -> None:
    choose_method(page, "FastV")
    ask_example(page, SQUARE)
    expect(page.locator(HEADING)).to_have_text("With FastV, 192 of 576")
    panel = page.locator(".cx-panel").nth(0)
    expect(panel).to_contain_text("FastV reads no region.")
    expect(panel.locator(".cx-box")).to_be_hidden()
    expect(panel.get_by_role("button", name="Draw a region")).to_be_hidden()
    expect(page.locator(".cx-panel").nth(2)).not_to_contain_text("region")
    expect(page.locator(CHIPS)).to_have_text("Next run:FastV192 of 576no region")
    page.get_by_text("Every visual token in a table").click()
    assert page.locator(".cx-table tbody tr").first.locator("td").all_inner_texts()[3] == "–"


def test_the_chips_tell_the_settings_and_reset_them(page: Page) -> None:
    expect(page.locator(CHIPS)).to_have_text("Next run:CROP192 of 576region predicted")
    expect(page.locator("#reset")).to_be_disabled()
    choose_method(page, "ILP alone")
    page.get_by_role("radio", name="128 of 576").check()
    page.get_by_role("radio", name="Whole").check()
    expect(page.locator(CHIPS)).to_have_text("Next run:ILP alone128 of 576region whole")
    ask_example(page, SQUARE)
    expect(page.locator(HEADING)).to_have_text("With ILP alone, 128 of 576")
    page.locator("#reset").click()
    expect(page.locator(CHIPS)).to_have_text("Next run:CROP192 of 576region predicted")
    expect(page.locator("#reset")).to_be_disabled()
    expect(page.locator(HEADING)).to_have_text("With ILP alone, 128 of 576")  # what ran stays what it was


def test_the_example_that_fails_at_64_tokens_runs_at_64_and_gives_the_settings_back(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="128 of 576").check()
    expect(page.locator(".ex-button").nth(FAILING)).to_contain_text("CROP fails at 64 tokens")
    ask_example(page, FAILING)
    expect(page.locator(HEADING)).to_have_text("With CROP, 64 of 576")
    expect(page.locator(".cx-verdict.cx-changed")).to_be_visible()
    expect(page.locator(CHIPS)).to_have_text("Next run:CROP64 of 576region predictedfor this example only")
    ask_example(page, SQUARE)
    expect(page.locator(HEADING)).to_have_text("With CROP, 128 of 576")
    expect(page.locator(CHIPS)).to_have_text("Next run:CROP128 of 576region predicted")


def test_a_run_that_is_asked_while_another_is_measured_is_the_one_on_screen(page: Page) -> None:
    for index in (0, 1, SQUARE):
        page.locator(".ex-button").nth(index).click()
        measuring(page, EXAMPLES[index]["question"])
    done(page)
    assert result(page).question == EXAMPLES[SQUARE]["question"] and len(result(page).crop.cost.runs) == 5


def test_stop_ends_the_measurement_and_keeps_the_answer(page: Page) -> None:
    page.locator(".ex-button").nth(SQUARE).click()
    press_once(page, "#stop", ".cx[data-stage=measure]")
    done(page)
    expect(page.locator("#stop")).to_be_disabled()
    expect(page.locator(".cx-verdict")).to_contain_text("Same answer")
    cost = result(page).crop.cost
    assert len(cost.runs) < 5 or cost.peak_method == NOT_MEASURED
    page.get_by_role("button", name="Measure again").click()
    expect(page.locator(".cx-costs [role=status]")).to_contain_text("5 runs of each")
