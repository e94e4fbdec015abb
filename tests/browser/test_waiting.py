"""Two visitors at once, in a real browser: the second is told that it waits, and nothing on its page moves."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

# Where Run, the settings and the explorer begin, in pixels, and top and bottom of a line between the first two.
LOOK = """(line) => {
  const box = (name) => document.querySelector(name).getBoundingClientRect();
  const found = document.querySelector(line);
  const tops = ["#run", "#mode", "#explorer"].map((name) => box(name).top);
  return found && { tops, line: [box(line).top, box(line).bottom] };
}"""
WAITING = "#message .waiting"


def test_who_waits_is_told_and_nothing_moves(page: Page, app: str, browser: Browser) -> None:
    other = browser.new_context().new_page()
    other.goto(app)
    for each in (page, other):
        expect(each.locator(".ex-button").first).to_be_visible()
        each.locator(".ex-button").first.click()
        expect(each.locator(".cx")).to_have_attribute("data-stage", "done")
    other.get_by_text("Where does the answer live?").click()
    expect(other.locator("#start-places")).to_be_visible()
    before = page.evaluate(LOOK, "#run")["tops"]
    other.locator("#start-places").click()
    expect(other.locator("#status-places")).to_contain_text(" of 64")
    page.locator("#run").click()
    during = page.wait_for_function(LOOK, arg=WAITING, polling="raf").json_value()
    other.locator("#stop-places").click()
    assert during["tops"] == before
    (top, bottom), run = during["line"], page.locator("#run").bounding_box()
    assert bottom - top >= 14 and run["y"] + run["height"] <= top and bottom <= before[1], "in the gap, over nothing"
    expect(page.locator(WAITING)).to_have_count(0)
    expect(page.locator(".cx")).to_have_attribute("data-stage", "done")
    assert page.evaluate(LOOK, "#run")["tops"] == before
    other.context.close()
