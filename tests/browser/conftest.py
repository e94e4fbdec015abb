"""One real app per session, started as a user starts it, and one fresh page per test that watches for errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.browser import (
    ARGUMENTS,
    BUNDLED,
    CHROMIUM,
    EXAMPLES,
    PATIENCE,
    SQUARE,
    Watch,
    ask_example,
    opened,
    running,
)

expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a browser test."""
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment that names the models: the bundled ones, or random ones of the same shape where those are missing."""
    if all((BUNDLED / name / "config.json").is_file() for name in ("crop-tiny", "crop-tiny-locator")):
        return {}
    from tests.support import checkpoints  # brings torch with it, which the bundled models do not need here

    folder = tmp_path_factory.mktemp("models")
    model = checkpoints.save(folder / "model", mode="pad", side=336, layers=6)
    locator = checkpoints.save(folder / "locator", mode="squash", side=112)
    return {"CROP_MODEL": model, "CROP_LOCALIZER": locator}


@pytest.fixture(scope="session")
def app(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the running app, which keeps no results: what a test asks is run, whatever others have asked."""
    with running({**models, "CROP_RESULTS_MB": "0"}, tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared(app: str, browser: Browser) -> Iterator[tuple[Page, Watch]]:
    """The page, and its record, of the tests of a module that are marked `answered`."""
    watch = Watch()
    with opened(browser, app, watch) as page:
        yield page, watch


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    """The record of the test's page."""
    return request.getfixturevalue("shared")[1] if request.node.get_closest_marker("answered") else Watch()


@pytest.fixture
def page(request: pytest.FixtureRequest, app: str, browser: Browser, watch: Watch) -> Iterator[Page]:
    """The app on a fresh page; with the mark `answered` the module's page, on which example SQUARE is answered.

    Afterwards nothing may have gone wrong or have left the machine.
    """
    if not request.node.get_closest_marker("answered"):
        with opened(browser, app, watch) as page:
            expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
            yield page
        return
    page, failed = request.getfixturevalue("shared")[0], request.session.testsfailed
    page.get_by_role("tab", name="Explore").click()
    question = page.locator(".cx-question")
    if not question.is_visible() or EXAMPLES[SQUARE]["question"] not in question.inner_text():
        ask_example(page, SQUARE)
    yield page
    if request.session.testsfailed > failed:
        page.reload()  # what the test left half done does not matter to the next one
    watch.check()
