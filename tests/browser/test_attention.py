"""Where the model looked: one more run when it is asked for, by layer and answer token, and in the downloads."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.support.browser import SQUARE, ask_example, result, saved, settled


def test_it_is_read_when_asked_for_and_kept_with_the_run(page: Page) -> None:
    ask_example(page, SQUARE)
    settled(page)
    costs = page.locator(".cx-readouts").all_inner_texts()
    page.get_by_text("Where did the model look?").click()
    view, text = page.locator(".cx-byhand").nth(0), page.locator(".cx-looked")
    expect(text).to_contain_text("not read yet")
    view.get_by_role("button", name="Show (one more run)").click()
    expect(text).to_contain_text("of the attention is on the image")
    expect(view.get_by_role("button", name="Shown")).to_be_disabled()
    canvas = view.locator("canvas")
    page.mouse.move(0, 0)
    before = canvas.screenshot()
    slider = page.get_by_label("Layer of the attention")
    slider.focus()
    slider.press("End")
    expect(text).to_contain_text(f"Layer {slider.get_attribute('max')}, writing")
    assert canvas.screenshot() != before
    page.get_by_label("Run", exact=True).select_option(index=1)
    expect(text).to_contain_text("not read yet")
    view.get_by_role("button", name="Show (one more run)").click()
    expect(text).to_contain_text("Those pruned before this layer get none.")
    assert page.locator(".cx-readouts").all_inner_texts() == costs, "its cost is in no figure"
    settled(page)
    run = result(page)
    assert [each.is_baseline for each in run.attention] == [True, False]
    assert len(run.attention[0].layers) == run.trace.layers
    page.locator("#figure-name input").click()
    page.get_by_role("option", name="Where the baseline looked").click()
    settled(page)
    assert saved(page, "#save-figure").startswith(b"\x89PNG")
    report = saved(page, "#save-page").decode()
    payload = json.loads(report.split('id="payload"')[1].split(">", 1)[1].split("</script")[0])
    assert len(json.loads(payload["data"])["result"]["attention"]) == 2


def test_nothing_moves_when_it_is_read(page: Page) -> None:
    ask_example(page, SQUARE)
    settled(page)
    page.get_by_text("Where did the model look?").click()
    top = "(one) => document.querySelector(one).getBoundingClientRect().top"
    parts = (".cx-panels", ".cx-table", ".cx-bill")
    before = [page.evaluate(top, part) for part in parts]
    page.get_by_role("button", name="Show (one more run)").click()
    expect(page.locator(".cx-looked")).to_contain_text("of the attention is on the image")
    assert [page.evaluate(top, part) for part in parts] == before
