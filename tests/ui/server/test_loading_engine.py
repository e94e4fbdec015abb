"""A page that is there before its model: who asks waits and is told so, and what cannot be loaded ends the app."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from crop_core.records.request import QueueStatus
from tests.support import ROOT
from tests.support.browser import free_port
from tests.support.fake_records import FakeEngine, request
from ui.server.loading_engine import LoadingEngine
from ui.views.texts import queue_message

PATIENCE = 60  # seconds; nothing takes as long
STAND_IN = (sys.executable, "-m", "tests.support.app_without_models")


def test_who_asks_meanwhile_waits_for_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.server.loading_engine.STATUS_EVERY", 0.01)
    loads: list[FakeEngine] = []
    engine = LoadingEngine(lambda: loads.append(FakeEngine()) or loads[-1])  # type: ignore[func-returns-value]
    stream, answers = engine.stream(request()), []
    caller = threading.Thread(target=lambda: answers.append(engine.call(request("answer"))))
    caller.start()
    assert [next(stream) for _ in range(2)] == [QueueStatus(0)] * 2 and not engine.is_loaded
    assert queue_message(QueueStatus(0)) == "The model is being loaded; then your question runs."
    engine.load(), engine.load()
    caller.join(PATIENCE)
    assert len(loads) == 1 and answers[0].text == "rabbit"
    assert list(stream)[-1].comparison.crop.text == "rabbit"
    assert engine.keeps_history and engine.reads_several, "those of the engine that is loaded"


def test_the_page_opens_before_its_model_is_there(tmp_path: Path) -> None:
    port, loaded = free_port(), tmp_path / "loaded"
    variables = os.environ | {"CROP_PORT": str(port), "LOADED": str(loaded), "GRADIO_TEMP_DIR": str(tmp_path)}
    variables |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "a.example"}
    process = subprocess.Popen(STAND_IN, cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True)
    try:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}/", trust_env=False, timeout=PATIENCE)
        until_it_answers(client)
        assert client.get("readyz").status_code == 503 and client.get("healthz").status_code == 200
        assert "CROP Explorer" in client.get("").text
        loaded.write_text("It is not loaded; no proxy for {NO_PROXY}.")
        _, told = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 1
    assert told.splitlines()[-1] == "CROP Explorer: It is not loaded; no proxy for a.example.", "others by the proxy"
    assert "Traceback" not in told


def until_it_answers(client: httpx.Client) -> None:
    """Wait until the server is there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            client.get("healthz")
            return
        except httpx.TransportError:
            assert time.monotonic() < end, "it did not start"
            time.sleep(0.1)
