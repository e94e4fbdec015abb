"""The page without a pointer: on every tab each control is reached by Tab and shows that it has the focus; Escape."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import SQUARE, ask_example, settled

MARK = """() => {
  const wanted = 'a[href], button, input, select, textarea, summary, canvas[tabindex], [tabindex]';
  const inOneStop = (each) => {  // of a group with one Tab stop any member will do
    if (each.type === 'radio') return `radio ${each.name}`;
    const group = each.closest('[role="toolbar"], [role="tablist"]');
    return group ? `group ${[...document.querySelectorAll('*')].indexOf(group)}` : null;
  };
  for (const each of document.querySelectorAll('[data-walk]')) delete each.dataset.walk;
  let count = 0;
  const groups = new Map();
  for (const each of document.querySelectorAll(wanted)) {
    if (each.disabled || !each.checkVisibility({ visibilityProperty: true })) continue;
    if (each.tabIndex < 0 && !inOneStop(each)) continue;
    if (each.closest('[aria-hidden="true"], [inert]') || each.type === 'file') continue;
    const group = inOneStop(each);
    if (group && !groups.has(group)) groups.set(group, count++);
    each.dataset.walk = group ? groups.get(group) : count++;
  }
  const text = (each) => each.id || each.getAttribute('aria-label') || each.textContent.trim().slice(0, 40);
  const name = (each) => `${each.tagName} ${text(each)}`;
  window.walkNames = {};
  for (const each of document.querySelectorAll('[data-walk]')) window.walkNames[each.dataset.walk] ??= name(each);
  window.walkLook = (each) => {  // the control and what stands around it, as far as a mark of the focus may be
    const looks = [];
    for (let at = each, k = 0; at && k < 4; at = at.parentElement, k++) {
      const style = getComputedStyle(at);
      const outline = style.outlineStyle === 'none' ? '' : style.outline;
      looks.push([outline, style.boxShadow, style.borderColor, style.backgroundColor].join());
    }
    return looks.join(';');
  };
  window.walked = [];
  document.activeElement?.blur();
  getSelection().removeAllRanges();
  return count;
}"""
STEP = """() => {
  const each = document.activeElement?.closest('[data-walk]');
  if (!each) return document.activeElement?.tagName ?? '';
  window.walked.push([each, window.walkLook(each)]);
  return each.dataset.walk;
}"""
FOUND = """() => {
  document.activeElement?.blur();
  const reached = new Set(window.walked.map(([each]) => each.dataset.walk));
  const missed = Object.keys(window.walkNames).filter((key) => !reached.has(key));
  const same = window.walked.filter(([each, look]) => each.isConnected && window.walkLook(each) === look);
  const names = (keys) => keys.map((key) => window.walkNames[key]);
  return { missed: names(missed), unmarked: names([...new Set(same.map(([each]) => each.dataset.walk))]) };
}"""


def walk(page: Page) -> dict[str, list[str]]:
    """Controls that Tab does not reach, and those that do not show the focus."""
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")  # marks at once
    count = page.evaluate(MARK)
    assert count > 10
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); scrollTo(0, 0)")
    for _ in range(2 * count + 20):
        page.keyboard.press("Tab")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        page.evaluate(STEP)
        if page.evaluate("new Set(window.walked.map(([each]) => each.dataset.walk)).size") == count:
            break
    return page.evaluate(FOUND)


@pytest.mark.parametrize("tab", ["Explore", "Methods", "Budget", "Learn"])
def test_every_control_is_reached_by_tab_and_shows_the_focus(page: Page, tab: str) -> None:
    ask_example(page, SQUARE)
    settled(page)
    page.get_by_role("tab", name=tab).click()
    everything_is_reached(page)


def everything_is_reached(page: Page) -> None:
    """A button that was disabled for the moment in which it would have had its turn gets another one."""
    for turn in range(3):
        page.wait_for_timeout(500 + 2000 * turn)
        found = walk(page)
        if not any(found.values()):
            return
    assert found == {"missed": [], "unmarked": []}


def test_with_everything_unfolded_too(page: Page) -> None:
    ask_example(page, SQUARE)
    settled(page)
    page.get_by_role("button", name="Settings").click()
    for details in page.locator(".cx details:visible > summary").all():
        details.click()
    page.get_by_role("button", name="Compare two layers").click()
    everything_is_reached(page)


def test_escape_gives_an_enlarged_panel_its_place_back_and_keeps_the_focus(page: Page) -> None:
    grow = page.locator(".cx-grow").nth(2)
    grow.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".cx-large")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".cx-large")).to_have_count(0)
    expect(grow).to_be_focused()


def test_escape_closes_a_list_and_chooses_nothing(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    method = page.locator("#method input")
    before = method.input_value()
    method.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(method).to_have_value(before)
