"""The app as it is served, over an engine without a model: what is open, what a login closes, what is written down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import ROOT
from tests.support.served import ask, png, served
from ui.server.headers import headers
from ui.server.login_page import CLOSED
from ui.views.examples import load_examples


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`served`, in a folder of its own."""
    return lambda **settings: served(tmp_path, settings, monkeypatch)


def test_an_answer_and_its_measurement_leave_a_line_each(
    start: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with start() as address, httpx.Client(base_url=address) as client:
        assert "rabbit" in ask(client)
        assert client.get("metrics").status_code == 404
        assert client.get("readyz").json() == {"ready": True, "under_way": 0}
        for page in ("", "config", "healthz", "nowhere", "gradio_api/info"):
            given = client.get(page).headers
            assert all(given[name] == value for name, value in headers().items())
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert [(line["endpoint"], line["outcome"], line["pictures"]) for line in lines] == [
        ("ask", "answered", [[40, 30]]),
        ("measure", "answered", [[40, 30]]),
    ]
    assert "passport" not in json.dumps(lines)


def test_the_page_is_sent_compressed_and_may_be_framed_where_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = {"CROP_FRAME_ANCESTORS": "https://course.example.edu, https://*.school.example/"}
    with (
        served(tmp_path, sites, monkeypatch, load_examples(ROOT / "assets" / "examples")) as address,
        httpx.stream("GET", address) as answer,
    ):
        sent = b"".join(answer.iter_raw())
    policy = answer.headers["content-security-policy"]
    assert answer.headers["content-encoding"] == "gzip" and len(sent) < 400_000, "a class of thirty loads it at once"
    assert "frame-ancestors 'self' https://huggingface.co https://course.example.edu https://*.school.example" in policy


def test_a_login_closes_all_but_the_health(start: Callable[..., Any]) -> None:
    with start(CROP_LOGIN="ann:one two", CROP_METRICS="1") as address, httpx.Client(base_url=address) as client:
        for page in ("config", "gradio_api/info"):
            assert client.get(page).status_code == 401
        assert client.post("gradio_api/call/ask", json={"data": []}).status_code == 401
        assert client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).status_code == 401
        for stop in ("cancel", "reset"):
            assert client.post(f"gradio_api/{stop}", json={"event_id": "x"}).status_code == 401
        assert client.get("gradio_api/heartbeat/abc").json() == {"detail": CLOSED}, "else it is held open"
        assert [client.get(page).status_code for page in ("healthz", "readyz", "metrics")] == [200] * 3
        assert client.post("login", data={"username": "ann", "password": "one"}).status_code == 400
        token = client.post("login", data={"username": "ann", "password": "one two"})
        assert token.status_code == 200
        client.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in token.cookies.items())
        assert "rabbit" in ask(client)
        assert client.post("gradio_api/reset", json={"event_id": "x"}).json() == {"success": True}
        with client.stream("GET", "gradio_api/heartbeat/abc") as beats:
            assert beats.status_code == 200
        assert 'crop_requests_total{endpoint="ask",outcome="answered"} 1.0' in client.get("metrics").text


def test_the_login_page_is_ours_until_the_visitor_is_logged_in(start: Callable[..., Any]) -> None:
    with start(CROP_LOGIN="ann:one two") as address, httpx.Client(base_url=address) as client:
        page = client.get("")
        assert page.headers["content-type"].startswith("text/html")
        assert "Please log in." in page.text and "gradio_config" not in page.text
        assert "<noscript>" in page.text, "without JavaScript the form would show what the server answers"
        assert all(page.headers[name] == value for name, value in headers().items())
        assert "--body-background-fill" in client.get("theme.css").text, "its colours"
        given = client.post("login", data={"username": "ann", "password": "one two"})
        client.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in given.cookies.items())
        assert "gradio_config" in client.get("").text
    with start(CROP_LOGIN="") as address:
        assert "gradio_config" in httpx.get(address).text


def app(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python app.py`, for what ends before anything is loaded."""
    command = [sys.executable, str(ROOT / "app.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_help_lists_the_settings_without_loading_anything() -> None:
    told = app("--help")
    assert told.returncode == 0
    assert "CROP_TIME_LIMIT" in told.stdout and "[300]" in told.stdout
    assert told.stdout.splitlines()[2].startswith("CROP Explorer: visual token pruning")


def test_a_wrong_setting_stops_the_start_with_one_sentence() -> None:
    told = app(CROP_PORT="http", CROP_LOGIN="ann:hunter2")
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "CROP Explorer: CROP_PORT is 'http', and must be a whole number from 1 to 65535.\n"
