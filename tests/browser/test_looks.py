"""Every view at three widths in both themes: kept as images (build/screenshots), readable to all, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import SQUARE, ask_example, done, result, settled
from tests.support.looks import images


def nothing(page: Page) -> None:
    """The app as it opens."""


def answered(page: Page) -> None:
    """Both answers."""
    ask_example(page, SQUARE)


def another_region(page: Page) -> None:
    """A region that is not asked about yet, beside a run with another one."""
    answered(page)
    for _ in range(2):
        page.locator(".cx-box").press("ArrowLeft")
        page.locator(".cx-box").press("ArrowDown")
        if page.locator(".run-card").count() == 0:
            page.get_by_role("button", name="Run with this region").click()
            expect(page.locator(".run-card")).to_have_count(2)


def two_layers(page: Page) -> None:
    """Two layers and the table of tokens."""
    answered(page)
    page.get_by_role("button", name="Compare two layers").click()
    page.get_by_role("button", name="Difference").click()
    page.get_by_text("Every visual token in a table").click()
    expect(page.locator(".cx-table tbody tr")).to_have_count(25)


def looked(page: Page) -> None:
    """Where the model looked."""
    answered(page)
    page.get_by_text("Where did the model look?").click()
    page.get_by_role("button", name="Show (one more run)").click()
    expect(page.locator(".cx-looked")).to_contain_text("of the attention is on the image")


def places(page: Page) -> None:
    """Where the answer lives."""
    answered(page)
    page.get_by_text("Where does the answer live?").click()
    page.locator("#start-places").click()
    expect(page.locator("#status-places")).to_contain_text("Done: 64 runs", timeout=90_000)
    expect(page.locator("#answer-map .main-svg").first).to_be_visible()
    saving(page, "map")


def saving(page: Page, fold: str) -> None:
    """Opens the fold that saves a figure."""
    page.locator(f"#{fold}-save").get_by_text("Save this figure").click()
    expect(page.locator(f"#{fold}-file")).to_be_enabled()


def files(page: Page) -> None:
    """Figures and downloads."""
    answered(page)
    result(page)
    settled(page)


def folded(page: Page) -> None:
    """All that is folded on the left."""
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Drawn").check()
    page.get_by_text("Demo model: drawn scenes only").click()
    expect(page.get_by_role("spinbutton", name="Left column")).to_be_visible()


def refused(page: Page) -> None:
    """A question that cannot be asked."""
    page.locator("#question textarea").fill("")
    page.locator("#run").click()
    expect(page.locator("#message [role=alert]")).to_be_visible()


def methods(page: Page) -> None:
    """Methods side by side."""
    answered(page)
    page.get_by_role("tab", name="Methods").click()
    page.locator("#start-methods").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")
    expect(page.locator("#methods-table")).to_contain_text("DivPrune")
    page.get_by_text("Difference between two methods").click()
    saving(page, "methods")


def budget(page: Page) -> None:
    """Curves against the budget."""
    answered(page)
    page.get_by_role("tab", name="Budget").click()
    page.locator("#start-budgets").click()
    expect(page.locator("#status-budgets")).to_contain_text("Done: 24 runs", timeout=90_000)
    saving(page, "curves")


def learn(page: Page) -> None:
    """Failures and glossary."""
    page.get_by_role("tab", name="Learn").click()
    expect(page.locator(".fail-card").first).to_be_visible()


def lesson(page: Page) -> None:
    """A step of the lesson with its question answered."""
    learn(page)
    page.locator("#lesson-start").click()
    expect(page.locator(".cx")).to_have_attribute("data-stage", "predict")
    page.locator("#lesson-choice label").nth(1).click()
    page.locator("#lesson-next").click()
    done(page)
    expect(page.locator("#lesson-verdict")).not_to_have_text("")


def class_mode(page: Page) -> None:
    """A step of the lesson on a projector, and a QR code."""
    learn(page)
    page.locator("#class-mode").click()
    lesson(page)
    expect(page.locator(".qr-code")).to_be_visible()


VIEWS = (
    nothing,
    answered,
    another_region,
    two_layers,
    looked,
    places,
    files,
    folded,
    refused,
    methods,
    budget,
    learn,
    lesson,
    class_mode,
)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_view_is_readable_at_every_width_in_both_themes(page: Page, view: Callable[[Page], None]) -> None:
    view(page)
    wrong = images(page, view.__name__)
    assert wrong == [], "\n".join(wrong)
