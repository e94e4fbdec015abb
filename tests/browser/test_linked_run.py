"""A recorded run on another host, by its address: fetched by the browser, opened as an upload, or one sentence."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import Watch, free_port, running
from tests.support.fake_records import comparison


@dataclass
class Host:
    """A server beside the app. paths: that it was asked for, with the cookies that came along."""

    address: str
    paths: list[tuple[str, str]] = field(default_factory=list)


RUN = json.dumps(comparison("what is on the moon?").to_json()).encode()
FILES = {"/cat.json": RUN, "/broken.json": b"{}", "/large.json": b" " * 20_000_001, "/closed.json": RUN}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Serves FILES to every site, but for one."""
    found = Host("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.paths.append((self.path, self.headers.get("cookie", "")))
            content = FILES.get(self.path)
            self.send_response(404 if content is None else 200)
            if self.path != "/closed.json":
                self.send_header("Access-Control-Allow-Origin", "*")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.address = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()


@pytest.fixture(scope="module")
def app(host: Host, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app that opens runs from the host."""
    with running({**models, "CROP_RUN_ORIGINS": host.address}, tmp_path_factory.mktemp("linked")) as address:
        yield address


def told(page: Page) -> str:
    """The sentence on the page."""
    alert = page.locator("#message [role=alert]")
    expect(alert).to_be_visible()
    return alert.inner_text()


def test_a_linked_run_is_on_screen_and_a_recording(app: str, host: Host, browser: Browser) -> None:
    context = browser.new_context()
    context.add_cookies([{"name": "secret", "value": "1", "url": host.address}])
    page = context.new_page()
    page.goto(f"{app}?run={host.address}/cat.json")
    expect(page.locator(".cx-question")).to_have_text("“what is on the moon?”")
    expect(page.locator(".cx-hint")).to_contain_text("A recorded run, from “cat.json”")
    assert host.paths[-1] == ("/cat.json", "")
    assert "run=" in page.url, "reload brings it back"
    page.reload()
    expect(page.locator(".cx-question")).to_have_text("“what is on the moon?”")
    context.close()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/broken.json", "'broken.json' is not a recorded run"),
        ("/large.json", "The linked run has more than 20 MB"),
        ("/none.json", "answers 404"),
        ("/closed.json", "does not let other sites read it"),
    ],
)
def test_what_cannot_be_opened_is_one_sentence_and_loses_nothing(
    app: str, host: Host, browser: Browser, path: str, sentence: str
) -> None:
    page = browser.new_page()
    page.goto(f"{app}?run={host.address}{path}")
    assert sentence in told(page)
    expect(page.locator(".cx")).to_have_attribute("data-stage", "recorded")
    page.close()


def test_a_host_that_is_not_allowed_is_not_asked(app: str, host: Host, browser: Browser) -> None:
    page = browser.new_page()
    before, other = len(host.paths), host.address.replace("127.0.0.1", "localhost")
    page.goto(f"{app}?run={other}/cat.json")
    assert "CROP_RUN_ORIGINS" in told(page)
    assert host.paths[before:] == []
    page.goto(f"{app}?run=javascript:alert(1)")
    assert "names no address of a recorded run" in told(page)
    page.close()


def test_a_run_beside_the_app_needs_no_setting(app: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{app}?run=/nothing-there.json")
    assert "answers 404" in told(page)
    page.close()


def test_a_linked_run_can_be_embedded(app: str, host: Host, browser: Browser) -> None:
    watch, context = Watch(), browser.new_context()
    page = context.new_page()
    watch.attach(page)
    page.goto(f"{app}?run={host.address}/cat.json&embed=1")
    expect(page.locator(".cx-question")).to_have_text("“what is on the moon?”")
    expect(page.locator("#inputs")).to_be_hidden()
    watch.check()
    context.close()
