"""The app started as a user starts it, and what tests in a browser do on its page."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect

from crop_core.records.results import Comparison
from tests.support import ROOT

BUNDLED = ROOT / "assets" / "models"
# The shell, where there is one, is the same engine without the windows that nobody sees: pages open sooner.
INSTALLED = next(filter(os.path.exists, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")), "/usr/bin/chromium")
CHROMIUM = os.environ.get("CROP_CHROMIUM", INSTALLED)
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
START_SECONDS = 300
PATIENCE = 30_000  # milliseconds; assertions retry until then
EXAMPLES = json.loads((ROOT / "assets" / "examples" / "examples.json").read_text())


def _is_square(row: dict[str, object]) -> bool:
    with Image.open(ROOT / "assets" / "examples" / str(row["image"])) as image:
        return image.width == image.height


SQUARE = next(index for index, row in enumerate(EXAMPLES) if _is_square(row))  # no padding around the image


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the app serves and its model is loaded; fails with its log when it ends or takes too long."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}readyz", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text()}")


@contextmanager
def running(
    models: dict[str, str],
    folder: Path,
    command: Sequence[str] = (sys.executable, "app.py"),
    cwd: Path = ROOT,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Address of an app of its own, started with this environment; its log goes to `folder`. host: where it answers."""
    port, log = free_port(), folder / "log.txt"
    own = {name: value for name, value in os.environ.items() if name != "CROP_CHROMIUM"}  # which is no setting
    environment = {**own, "GRADIO_TEMP_DIR": str(folder), **models, "CROP_PORT": str(port)}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=out)
    try:
        wait_for(f"http://{host}:{port}/", process, log)
        yield f"http://{host}:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert failures(log.read_text()) == []


def failures(log: str) -> list[str]:
    """Every traceback but those of Gradio's own checks of paths, which it writes when it refuses one."""
    return [trace for trace in log.split("Traceback")[1:] if "InvalidPathError" not in trace]


LEFT = ("AbortError: BodyStreamBuffer was aborted", "AbortError: signal is aborted")  # what was still under way


WATCHES: WeakKeyDictionary[Page, Watch] = WeakKeyDictionary()


@dataclass
class Watch:
    """What a page asked for and complained about; `open` is what is still under way."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    open: set[Request] = field(default_factory=set)
    latest: float = 0

    def attach(self, page: Page) -> None:
        """Listens from now on."""
        WATCHES[page] = self
        page.on("request", self.request)
        for end in ("requestfinished", "requestfailed"):
            page.on(end, self.ended)
        page.on("console", self.console)
        page.on("pageerror", self.error)

    def request(self, request: Request) -> None:
        """Remembers what goes over a network, which blob: and data: do not."""
        if request.url.startswith(("http", "ws")):
            self.requests.append(request.url)
            self.latest = time.monotonic()
            if "/heartbeat/" not in request.url:  # which lasts as long as the page
                self.open.add(request)

    def ended(self, request: Request) -> None:
        """Forgets a request that is no longer under way."""
        self.open.discard(request)

    def wait(self, page: Page, still: float = 0.8) -> None:
        """Until nothing has been under way for some seconds; a page makes a figure anew once its layer stands still."""
        end = time.monotonic() + 3 * PATIENCE / 1000  # on a busy machine times are measured for a while
        while self.open or time.monotonic() < self.latest + still:
            assert time.monotonic() < end, [request.url for request in self.open]
            page.wait_for_timeout(100)

    def console(self, message: ConsoleMessage) -> None:
        """Remembers errors, but that Gradio's own client was reading a stream when its page was left."""
        if message.type == "error" and not message.text.startswith(LEFT):
            self.complaints.append(f"{message.text} {message.location}")

    def error(self, error: Error) -> None:
        """Remembers exceptions."""
        self.complaints.append(str(error))

    def check(self) -> None:
        """Nothing went wrong, and no request left this machine; what did is told once."""
        outside = [url for url in self.requests if "//127.0.0.1:" not in url]
        complaints, self.complaints, self.requests = self.complaints, [], []
        assert complaints == [], complaints
        assert outside == [], outside


@contextmanager
def opened(browser: Browser, address: str, watch: Watch) -> Iterator[Page]:
    """A page of the app on a desktop screen; afterwards nothing may have gone wrong or have left the machine."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    watch.attach(page)
    page.goto(address)
    expect(page.locator("#run")).to_be_visible()
    yield page
    context.close()
    watch.check()


def done(page: Page) -> None:
    """Both answers, verdict and images of the latest question are drawn."""
    expect(page.locator(".cx")).to_have_attribute("data-stage", "done")
    expect(page.locator(".cx-verdict")).to_be_visible()


def ask_example(page: Page, index: int) -> None:
    """Clicks an example and waits until its own answer is there."""
    page.locator(".ex-button").nth(index).click()
    expect(page.locator(".cx-question")).to_have_text(f"“{EXAMPLES[index]['question']}”")
    done(page)


def result(page: Page) -> Comparison:
    """The finished comparison, from the file that the app offers."""
    if page.locator("#save-record").is_hidden():
        page.get_by_text("Figures and downloads").click()
    expect(page.locator("#save-record")).to_be_enabled()
    with page.expect_download() as download:
        page.locator("#save-record").click()
    return Comparison.from_json(json.loads(Path(download.value.path()).read_text()))


def settled(page: Page) -> None:
    """Figures and downloads are there as well: nothing of the latest question is under way any more."""
    result(page)
    for figure in ("#times", "#alive"):
        expect(page.locator(f"{figure} .main-svg").first).to_be_visible()
    WATCHES[page].wait(page)


def measuring(page: Page, question: str) -> None:
    """The times of this question are being measured, which may be over soon: looked for in every frame."""
    page.wait_for_function(
        """(question) => document.querySelector(".cx-question")?.textContent === `“${question}”` &&
          document.querySelector(".cx").dataset.stage === 'measure'""",
        arg=question,
    )


def press_once(page: Page, button: str, seen: str) -> None:
    """Presses a button in the very moment in which something is there (both CSS): what it stops may be over soon."""
    page.wait_for_function(
        """([button, seen]) => {
          const pressed = document.querySelector(button);
          if (!document.querySelector(seen) || pressed.disabled) return false;
          pressed.click();
          return true;
        }""",
        arg=[button, seen],
    )


def saved(page: Page, button: str) -> bytes:
    """The file behind a button."""
    expect(page.locator(button)).to_be_enabled()
    with page.expect_download() as download:
        page.locator(button).click()
    return Path(download.value.path()).read_bytes()


def png(width: int, height: int, colour: str = "#3a7") -> dict[str, object]:
    """A plain image as an upload."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return {"name": "plain.png", "mimeType": "image/png", "buffer": buffer.getvalue()}


def upload(page: Page, file: dict[str, object]) -> None:
    """Gives an image file; an image that is there already is taken away first."""
    clear = page.locator("#image").get_by_label("Remove Image")
    if clear.count() and clear.first.is_visible():
        clear.first.click()
    page.locator("#image input[type=file]").first.set_input_files(file)
