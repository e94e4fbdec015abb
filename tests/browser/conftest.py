"""One real app per session, started as a user starts it, and one fresh page per test that watches for errors."""

from __future__ import annotations

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

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = ROOT / "assets" / "models"
# The shell, where there is one, is the same engine without the windows that nobody sees: pages open sooner.
INSTALLED = next(filter(os.path.exists, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")), "/usr/bin/chromium")
CHROMIUM = os.environ.get("CROP_CHROMIUM", INSTALLED)
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
START_SECONDS = 120
PATIENCE = 30_000  # milliseconds; assertions retry until then

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
    import checkpoints  # brings torch with it, which the bundled models do not need here

    folder = tmp_path_factory.mktemp("models")
    model = checkpoints.save(folder / "model", mode="pad", side=336, layers=6)
    locator = checkpoints.save(folder / "locator", mode="squash", side=112)
    return {"CROP_MODEL": model, "CROP_LOCALIZER": locator}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the app serves; fails with its log when it ends or takes too long."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text()}")


@contextmanager
def running(
    models: dict[str, str], folder: Path, command: Sequence[str] = (sys.executable, "app.py"), cwd: Path = ROOT
) -> Iterator[str]:
    """Address of an app of its own, started with this environment; its log goes to `folder`."""
    port, log = free_port(), folder / "log.txt"
    environment = {**os.environ, **models, "CROP_PORT": str(port), "GRADIO_TEMP_DIR": str(folder)}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=out)
    try:
        wait_for(f"http://127.0.0.1:{port}/", process, log)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert failures(log.read_text()) == []


def failures(log: str) -> list[str]:
    """Every traceback but those of Gradio's own checks of paths, which it writes when it refuses one."""
    return [trace for trace in log.split("Traceback")[1:] if "InvalidPathError" not in trace]


@pytest.fixture(scope="session")
def app(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the running app."""
    with running(models, tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page asked for and complained about."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        """Listens from now on."""
        page.on("request", self.request)
        page.on("console", self.console)
        page.on("pageerror", self.error)

    def request(self, request: Request) -> None:
        """Remembers what goes over a network, which blob: and data: do not."""
        if request.url.startswith(("http", "ws")):
            self.requests.append(request.url)

    def console(self, message: ConsoleMessage) -> None:
        """Remembers errors."""
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location}")

    def error(self, error: Error) -> None:
        """Remembers exceptions."""
        self.complaints.append(str(error))

    @property
    def outside(self) -> list[str]:
        """Requests that left this machine."""
        return [url for url in self.requests if "//127.0.0.1:" not in url]


@pytest.fixture
def watch() -> Watch:
    """The record of the test's page."""
    return Watch()


@pytest.fixture
def page(app: str, browser: Browser, watch: Watch) -> Iterator[Page]:
    """The app on a desktop screen; afterwards nothing may have gone wrong or have left the machine."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    watch.attach(page)
    page.goto(app)
    expect(page.locator("#run")).to_be_visible()
    expect(page.locator(".cx")).to_have_attribute("data-stage", "empty")
    yield page
    context.close()
    assert watch.complaints == []
    assert watch.outside == []
