"""The app as hosts run it: behind nginx under a path, by the container's command, and on a stand-in for ZeroGPU."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from tests.support import ROOT
from tests.support.browser import (
    BUNDLED,
    EXAMPLES,
    SQUARE,
    done,
    free_port,
    png,
    result,
    running,
    settled,
    upload,
)
from tests.support.container import command, copied, environment, read, stages
from ui.server.headers import headers

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
STEPS = stages(read((ROOT / "Dockerfile").read_text(encoding="utf-8")))
SHELL = (
    "user root; " if os.geteuid() == 0 else ""
) + "pid {0}/pid; error_log {0}/error.log; events {{}} http {{ access_log off; {1} {2} }}"
PLACES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def configuration(folder: Path, port: int, app: str) -> str:
    """The server block of docs/hosting.md for this port and this app, whole and away from the system's own places."""
    block_text = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block_text
    listen = f"listen 127.0.0.1:{port}; location = /favicon.ico {{ return 204; }}"  # of the site that is at the root
    block = block_text[1].replace("listen 80;", listen).replace("http://127.0.0.1:7860/", app)
    return SHELL.format(folder, " ".join(f"{name}_temp_path {folder}/{name};" for name in PLACES), block)


@contextmanager
def behind_nginx(models: dict[str, str], folder: Path) -> Iterator[str]:
    """Under the path of docs/hosting.md."""
    if not Path(NGINX).is_file():
        pytest.skip("nginx is missing: apt-get install nginx-light")
    with running({**models, "CROP_ROOT_PATH": "/crop"}, folder) as app:
        port = free_port()
        (folder / "nginx.conf").write_text(configuration(folder, port, app))
        arguments = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
        proxy = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}/crop/"
        finally:
            proxy.terminate()
            proxy.wait(timeout=20)


@contextmanager
def in_a_container(models: dict[str, str], folder: Path) -> Iterator[str]:
    """By its command, with its variables, in a folder that holds what it copies and cannot be written to."""
    steps = [step for name in ("base", "app") for step in STEPS[name]]
    copied(steps, folder / "app")
    places = {"HOME": str(folder), "HF_HOME": str(folder / "hub")}
    start = command(next(step for step in reversed(steps) if step.name == "CMD").command)
    with running({**environment(steps), **models, **places}, folder, start, folder / "app") as app:
        yield app
    for path in [folder / "app", *(folder / "app").rglob("*")]:
        path.chmod(0o755)  # so that pytest can take it away


@contextmanager
def on_zerogpu(models: dict[str, str], folder: Path) -> Iterator[str]:
    """With the stand-in, where every call to the engine is a fork; in float32, as a CPU is slow in bfloat16."""
    stand_in = str(ROOT / "tests" / "support" / "zerogpu")
    paths = ":".join([stand_in, *filter(None, sys.path)])
    with running({**models, "SPACES_ZERO_GPU": "true", "CROP_DTYPE": "float32", "PYTHONPATH": paths}, folder) as app:
        yield app


HOSTS = {"nginx": behind_nginx, "container": in_a_container, "zerogpu": on_zerogpu}


@pytest.fixture(scope="module", params=HOSTS)
def app(
    request: pytest.FixtureRequest, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the app on one of the hosts."""
    if not BUNDLED.is_dir():
        pytest.skip("there are no bundled models")
    with HOSTS[request.param](models, tmp_path_factory.mktemp(request.param)) as address:
        yield address


@pytest.mark.answered
def test_an_example_is_answered_and_its_run_downloaded(page: Page) -> None:
    answered = result(page)
    assert answered.question == EXAMPLES[SQUARE]["question"]
    assert answered.crop.trace.visual_tokens > answered.crop.trace.final_tokens


def test_the_figure_of_an_upload_is_downloaded(page: Page) -> None:
    upload(page, png(300, 200))
    expect(page.locator(".cx")).to_have_attribute("data-stage", "idle")
    page.locator("#question textarea").fill("what is left of the dog?")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)
    assert result(page).crop.trace.image_size == (300, 200)
    with page.expect_download() as download:
        page.locator("#save-figure").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.answered
def test_methods_are_compared(page: Page) -> None:
    page.get_by_role("tab", name="Methods").click()
    page.get_by_role("button", name="Compare methods").click()
    expect(page.locator("#status-methods")).to_contain_text("Done: 4 runs")


def test_a_question_can_be_refused_and_the_next_one_asked(page: Page) -> None:
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("radio", name="Custom").check()
    page.get_by_label("Custom budget").fill("0.5")
    page.locator(".ex-button").nth(0).click()
    expect(page.locator("#message [role=alert]")).to_contain_text("0.5 tokens")
    page.get_by_label("Custom budget").fill("64")
    page.get_by_role("button", name="Run", exact=True).click()
    done(page)


@pytest.mark.answered
def test_a_link_brings_the_run_back(page: Page, app: str) -> None:
    link = page.locator("#link textarea, #link input").first
    expect(link).to_have_value(re.compile(rf"^{re.escape(app)}\?"))
    settled(page)  # nothing is under way that leaving would break off
    page.goto(link.input_value())
    done(page)
    expect(page.locator(".cx-question")).to_have_text(f"“{EXAMPLES[SQUARE]['question']}”")


def test_programs_ask_and_the_host_sees_that_it_is_well(app: str) -> None:
    image = handle_file(str(ROOT / "assets" / "examples" / EXAMPLES[0]["image"]))
    answered = Client(app, verbose=False).predict(image, EXAMPLES[0]["question"], budget="64", api_name="/ask")
    assert answered["answer"]
    for page, status in (("healthz", {"alive": True}), ("readyz", {"ready": True, "under_way": 0})):
        answer = httpx.get(app + page)
        assert json.loads(answer.text) == status
        assert all(answer.headers[name] == value for name, value in headers().items())
    assert httpx.get(app + "metrics").status_code in (403, 404)
