"""What the server keeps in memory of requests and visitors, counted after many of them. No model is loaded."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pandas
import pytest

from tests.support import ROOT
from ui.page.hardened_blocks import UNCOUNTED, HardenedBlocks
from ui.page.layout import VISITORS, launch_options

REQUESTS = 20
LARGE, SMALL = 1_500_000, 2_000  # bytes: a page while it is written, and what is kept of the work on it
OPENED = f"""
import threading
from pathlib import Path
from ui.server.hosting import limit_malloc

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def work():
    for _ in range(3):
        pages = []
        for _ in range(30):
            pages.append(b"x" * {LARGE})
            kept.append(b"x" * {SMALL})

kept = []
assert limit_malloc()
before = held()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(held() - before)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HardenedBlocks]:
    """An app that repeats a number, launched as ours is."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    for name in UNCOUNTED:
        monkeypatch.delenv(name, raising=False)
    with HardenedBlocks(analytics_enabled=False) as blocks:
        number = gr.Number()
        gr.Button().click(lambda given: given, number, number, api_name="same")
    blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options(tmp_path))
    yield blocks
    blocks.close()


def test_requests_leave_no_figures_behind(app: HardenedBlocks, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[int] = []
    make = pandas.DataFrame
    monkeypatch.setattr(
        pandas, "DataFrame", lambda rows, *more, **named: tables.append(1) or make(rows, *more, **named)
    )
    with httpx.Client(base_url=app.local_url) as client:
        for given in range(REQUESTS):
            event = client.post("gradio_api/call/same", json={"data": [given]}).json()["event_id"]
            assert f"[{given}]" in client.get(f"gradio_api/call/same/{event}").text
    assert len(app._queue.event_analytics) <= 1
    assert tables == []


def test_only_the_latest_visitors_are_kept(app: HardenedBlocks) -> None:
    for number in range(VISITORS + 5):
        app.state_holder[str(number)]
    assert len(app.state_holder.session_data) == VISITORS
    assert "4" not in app.state_holder and "5" in app.state_holder


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another")
def test_what_threads_freed_is_given_back() -> None:
    """Without it the C library keeps 40 MB and more here: a small block above each of the large ones holds them."""
    done = subprocess.run([sys.executable, "-c", OPENED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5_000_000
