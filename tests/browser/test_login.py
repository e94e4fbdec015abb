"""A host's limits as a visitor meets them: the login page and what it says, and a refusal by the rate limit."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Watch, done, running

STAND_IN = (sys.executable, "-m", "tests.support.app_without_models")
WRONG = "Failed to load resource"  # what the browser itself says of an answer 400 or 429


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app with a login, and one question a minute."""
    settings = {"CROP_LOGIN": "ann:one two,jos\u00e9:pa\u0308ss", "CROP_RATE": "1"}
    with running(settings, tmp_path_factory.mktemp("app"), STAND_IN) as address:
        yield address


@pytest.fixture
def visitor(browser: Browser, closed: str) -> Iterator[Page]:
    """A page of a visitor who is not logged in; nothing goes wrong on it but the refusals themselves."""
    watch, context = Watch(), browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    watch.attach(page)
    page.goto(closed)
    yield page
    context.close()
    watch.complaints = [each for each in watch.complaints if WRONG not in each]
    watch.check()


def log_in(page: Page, password: str, user: str = "ann") -> None:
    """Send the form."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_page_looks_like_the_app(visitor: Page, scheme: str) -> None:
    visitor.emulate_media(color_scheme=scheme)
    expect(visitor.get_by_role("heading", name="CROP Explorer")).to_be_visible()
    expect(visitor.get_by_label("User name")).to_be_focused()
    expect(visitor.get_by_role("alert")).to_be_hidden()
    expect(visitor.locator("body")).to_have_css(
        "background-color", "rgb(246, 248, 250)" if scheme == "light" else "rgb(14, 20, 27)"
    )
    expect(visitor.get_by_role("button", name="Log in")).to_have_css(
        "background-color", "rgb(0, 97, 154)" if scheme == "light" else "rgb(0, 114, 178)"
    )


def test_a_wrong_password_is_told_and_the_right_one_opens_the_app(visitor: Page) -> None:
    log_in(visitor, "one")
    expect(visitor.get_by_role("alert")).to_have_text("Wrong user name or password.")
    expect(visitor.get_by_label("User name")).to_have_value("ann")
    log_in(visitor, "one two")
    expect(visitor.locator("#run")).to_be_visible()


def test_logging_out_brings_the_login_page_back(visitor: Page) -> None:
    log_in(visitor, "one two")
    visitor.get_by_role("button", name="Log out").click()
    expect(visitor.get_by_label("User name")).to_be_visible()
    visitor.reload()
    expect(visitor.get_by_label("User name")).to_be_visible()


def test_after_a_refusal_both_columns_show_the_same_image(visitor: Page) -> None:
    log_in(visitor, "one two")
    visitor.locator(".ex-button").nth(0).click()
    done(visitor)
    visitor.locator(".ex-button").nth(1).click()
    expect(visitor.get_by_text("This server allows 1 request a minute")).to_be_visible()
    expect(visitor.locator(".cx")).to_have_attribute("data-stage", "idle")
    expect(visitor.locator(".cx-verdict")).to_be_hidden()
    expect(visitor.locator(".run-card")).to_have_count(0)


def test_a_visitor_who_is_no_longer_logged_in_is_told_and_loses_nothing(visitor: Page) -> None:
    """As after the app was started again: the page was dead without a word."""
    log_in(visitor, "one two")
    expect(visitor.get_by_role("heading", name="What it costs")).to_be_visible()
    answers = visitor.locator(".cx article").all_inner_texts()
    assert answers
    visitor.context.clear_cookies()
    visitor.locator("#run").click()
    expect(visitor.get_by_role("alert")).to_have_text(
        "You are no longer logged in: log in in another tab, then ask again; this page stays as it is."
    )
    assert visitor.locator(".cx article").all_inner_texts() == answers
    with visitor.context.expect_page() as opened:
        visitor.get_by_role("link", name="log in").click()
    log_in(opened.value, "one two")
    expect(opened.value.locator("#run")).to_be_visible()
    visitor.locator("#run").click()
    expect(visitor.locator(".logged-out")).to_have_count(0)


@pytest.mark.parametrize(("user", "password"), [("jos\u00e9", "p\u00e4ss "), ("jose\u0301", "pa\u0308ss")])
def test_an_accent_is_the_same_in_either_spelling(user: str, password: str, visitor: Page) -> None:
    log_in(visitor, password, user)
    expect(visitor.locator("#run")).to_be_visible()


def test_too_many_wrong_passwords_are_told_with_the_time_to_wait(visitor: Page) -> None:
    """The last one: nobody at this address can log in for a minute."""
    for _ in range(11):
        log_in(visitor, "one")
        expect(visitor.get_by_role("alert")).not_to_be_empty()
    expect(visitor.get_by_role("alert")).to_contain_text(
        "This server allows 10 wrong logins a minute for each visitor; "
    )
