"""What leaves the app and comes back: figures, the report as a file of its own, recorded runs."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from crop_core.io.data_url import data_url
from crop_core.records.region import Region
from tests.support.browser import EXAMPLES, SQUARE, Watch, done, press_once, result, saved
from tests.support.fake_records import about_several, comparison, sample_image


@pytest.mark.answered
def test_a_figure_is_drawn_as_the_options_say(page: Page) -> None:
    shown = result(page)
    page.locator("#figure-format").get_by_label("SVG").check()
    width = page.locator("#figure-width input")
    width.fill("8.5")
    width.blur()
    expect(page.locator("#save-figure")).to_contain_text("SVG, 8.5 cm")
    root = ET.fromstring(saved(page, "#save-figure"))
    assert (root.get("width") or "").startswith("240.94")
    assert json.loads(root.findtext("{http://www.w3.org/2000/svg}metadata") or "")["question"] == shown.question
    without_looking = (("PNG", "40"), ("PDF", "12"), ("PNG", "30"), ("SVG", "9"))
    for kind, centimetres in without_looking:
        page.locator("#figure-format").get_by_label(kind).check()
        width.fill(centimetres)
        width.blur()
    expect(page.locator("#save-figure")).to_contain_text("SVG, 9 cm")
    page.wait_for_timeout(1500)
    expect(page.locator("#save-figure")).to_contain_text("SVG, 9 cm")
    width.fill("1")
    width.blur()
    expect(page.locator("#figure-message")).to_contain_text("give a width from 3 to 40 cm")
    expect(page.locator("#save-figure")).to_be_disabled()


def files_of(page: Page, fold: str) -> None:
    """Takes the figure of an open fold in every format, and reads each with its own reader; then refuses a width."""
    save = f"#{fold}-file"
    width = page.locator(f"#{fold}-width input")
    width.fill("8.5")
    width.blur()
    expect(page.locator(save)).to_contain_text("PNG, 8.5 cm")
    with Image.open(io.BytesIO(saved(page, save))) as image:
        assert image.size[0] == 1004
        facts = image.info
    page.locator(f"#{fold}-format").get_by_label("SVG").check()
    expect(page.locator(save)).to_contain_text("SVG, 8.5 cm")
    root = ET.fromstring(saved(page, save))
    metadata = json.loads(root.findtext("{http://www.w3.org/2000/svg}metadata") or "")
    assert (root.get("width") or "").startswith("240.94")
    assert (
        metadata["question"] == EXAMPLES[SQUARE]["question"] and metadata["device"] and "torch" in metadata["versions"]
    )
    assert {name: facts[name] for name in metadata} == metadata
    page.locator(f"#{fold}-format").get_by_label("PDF").check()
    expect(page.locator(save)).to_contain_text("PDF, 8.5 cm")
    content = saved(page, save)
    assert content.startswith(b"%PDF-") and b"/MediaBox [ 0 0 240.94" in content
    width.fill("1")
    width.blur()
    expect(page.locator(f"#{fold}-note")).to_contain_text("give a width from 3 to 40 cm")
    expect(page.locator(save)).to_be_disabled()


@pytest.mark.answered
def test_what_the_tabs_show_is_saved_as_figures(page: Page) -> None:
    page.get_by_role("tab", name="Methods").click()
    page.locator("#methods-save").get_by_text("Save this figure").click()
    expect(page.locator("#methods-note")).to_contain_text("nothing to save yet")
    page.locator("#start-methods").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")
    expect(page.locator("#methods-note")).to_be_hidden()
    files_of(page, "methods")
    expect(page.locator(".cx-method")).to_have_count(5)
    page.get_by_role("tab", name="Budget").click()
    page.locator("#start-budgets").click()
    expect(page.locator("#status-budgets")).to_contain_text("Done: 24 runs", timeout=90_000)
    page.locator("#curves-save").get_by_text("Save this figure").click()
    files_of(page, "curves")
    expect(page.locator("#budget-curves .main-svg").first).to_be_visible()


@pytest.mark.answered
def test_the_map_is_saved_as_it_stands_when_it_is_stopped(page: Page) -> None:
    page.get_by_text("Where does the answer live?").click()
    page.locator("#start-places").click()
    press_once(page, "#stop-places", "#status-places progress")
    expect(page.locator("#status-places")).to_contain_text("Stopped")
    page.locator("#map-save").get_by_text("Save this figure").click()
    files_of(page, "map")


@pytest.mark.answered
def test_the_report_works_by_itself(page: Page, browser: Browser, watch: Watch, tmp_path: Path) -> None:
    layers = result(page).crop.trace.layers
    file = tmp_path / "report.html"
    file.write_bytes(saved(page, "#save-page"))
    report = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    watch.attach(report)
    before = len(watch.requests)
    report.goto(file.as_uri())
    done(report)
    slider = report.get_by_label("LLM layer", exact=True)
    slider.focus()
    slider.press("End")
    expect(report.locator(".cx-pruning")).to_have_attribute("data-layer", str(layers - 1))
    expect(report.get_by_role("button", name="Draw a region")).to_be_hidden()
    expect(report.locator("dl")).to_contain_text("transformers")
    assert report.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [url for url in watch.requests[before:] if "gradio_api" not in url] == []
    report.close()


def test_recorded_runs_open_without_being_asked(page: Page, tmp_path: Path) -> None:
    files = []
    for name, question in (("first", "is there a dog?"), ("second", "is there a cat?")):
        data = {**comparison(question, device="cuda:0").to_json(), "pictures": [data_url(sample_image())]}
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(data))
    files.append(tmp_path / "broken.json")
    files[-1].write_text("{}")
    page.get_by_text("Open recorded runs").click()
    page.locator("#open-files").locator("xpath=..").locator("input[type=file]").set_input_files(files)
    done(page)
    expect(page.locator(".cx-question")).to_have_text("“is there a cat?”")
    expect(page.locator(".cx-foot")).to_contain_text("cuda:0")
    expect(page.locator("#open-message")).to_contain_text("broken.json")
    expect(page.get_by_role("button", name="Draw a region")).to_be_hidden()
    page.locator(".run-card", has_text="first.json").click()
    expect(page.locator(".cx-question")).to_have_text("“is there a dog?”")
    assert result(page).device == "cuda:0"


def test_a_recorded_run_about_two_images_opens_with_both_and_leaves_as_it_came(page: Page, tmp_path: Path) -> None:
    pair = about_several(comparison(history=[("what?", "cat")]), [Region(5, 5, 6, 7, 90, 120, "drawn")])
    data = {**pair.to_json(), "pictures": [data_url(sample_image()), data_url(sample_image(90, 120))]}
    file = tmp_path / "pair.json"
    file.write_text(json.dumps(data))
    page.get_by_text("Open recorded runs").click()
    page.locator("#open-files").locator("xpath=..").locator("input[type=file]").set_input_files(file)
    done(page)
    page.locator(".cx-thumb").nth(1).click()
    expect(page.locator(".cx-panel").nth(0)).to_contain_text("columns 5–6, rows 5–7")
    page.get_by_role("radio", name="Drawn").check()
    expect(page.locator(".cx-panel").nth(0)).not_to_contain_text("Not run yet")
    expect(page.locator(".thread li")).to_have_count(2)
    expect(page.locator("#follow")).to_be_hidden()
    expect(page.locator("#open-message")).to_be_hidden()
    page.get_by_text("Figures and downloads").click()
    assert json.loads(saved(page, "#save-record")) == json.loads(file.read_text())
    report = tmp_path / "pair.html"
    report.write_bytes(saved(page, "#save-page"))
    page.goto(report.as_uri())
    done(page)
    expect(page.locator(".cx-thumb")).to_have_count(2)
