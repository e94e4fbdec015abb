"""The app as it is served, and strangers: what they send that no page of ours would, and what they get to see."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from tests.support import ROOT
from tests.support.served import ask, png, served
from ui.page import layout
from ui.page.api_inputs import TAKES
from ui.page.hardened_blocks import MALFORMED, NO_URL, HardenedBlocks
from ui.page.save_figure import offered

FILE = {"_type": "gradio.FileData"}


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`served`, in a folder of its own."""
    return lambda **settings: served(tmp_path, settings, monkeypatch)


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another server, with an image: its address, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/a.png", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def told(client: httpx.Client, path: str, name: str = "localize", **more: Any) -> str:
    """What an endpoint tells of the file at this path."""
    data = [{"path": path, "meta": FILE, **more}, "what?"]
    event = client.post(f"gradio_api/call/{name}", json={"data": data}).json()["event_id"]
    return client.get(f"gradio_api/call/{name}/{event}").text


def previewed(client: httpx.Client, value: Any) -> str:
    """What the page's own handler for a new image tells of this value."""
    config = client.get("config").json()
    ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
    bound = [each for each in config["dependencies"] if [ids["image"], "upload"] in each["targets"]]
    fn = next(each for each in bound if ids["image"] in each["inputs"])
    body = {"data": [value, None, ""], "fn_index": fn["id"], "session_hash": "preview"}
    assert client.post("gradio_api/queue/join", json=body).status_code == 200
    return client.get("gradio_api/queue/data", params={"session_hash": "preview"}).text


def test_no_address_is_fetched(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio refuses addresses inside by itself; here even one that it would fetch is not."""
    monkeypatch.setattr("gradio.processing_utils.PUBLIC_HOSTNAME_WHITELIST", ["127.0.0.1"])
    with elsewhere() as (address, asked), start() as app, httpx.Client(base_url=app, timeout=60) as client:
        assert TAKES in told(client, address)
        assert TAKES in told(client, address, url=address)
        assert NO_URL in previewed(client, {"path": address, "meta": FILE})
        assert client.get(f"gradio_api/file={address}").status_code == 404
        assert client.get(f"gradio_api/proxy={address}").status_code == 404
    assert asked == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", str(Path(__file__).resolve())])
def test_a_file_of_the_server_is_neither_read_nor_served(path: str, start: Callable[..., Any]) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        assert TAKES in told(client, path)
        assert MALFORMED in previewed(client, {"path": path, "meta": FILE})
        assert client.get(f"gradio_api/file={path}").status_code in (403, 404)
        for folder in ("static", "assets"):
            assert client.get(f"{folder}/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd").status_code in (403, 404)


def test_an_upload_is_served_by_an_unguessable_name_alone(start: Callable[..., Any], tmp_path: Path) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        path = Path(client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()[0])
        assert len(path.parent.name) == 64  # a SHA-256, which a seed of this installation goes into
        assert client.get(f"gradio_api/file={path}").content == png()
        for other in (path.parent, path.parent.parent, path.parent / "b.png"):
            assert client.get(f"gradio_api/file={other}").status_code == 403
    assert not path.exists()  # the app has ended


def test_a_page_that_was_uploaded_is_not_shown_as_one(start: Callable[..., Any]) -> None:
    script = b"<script>alert(1)</script>"
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        for name in ("a.html", "a.svg"):
            path = client.post("gradio_api/upload", files={"files": (name, script, "text/html")}).json()[0]
            given = client.get(f"gradio_api/file={path}").headers
            assert given["content-disposition"].startswith("attachment")
            assert given["content-type"] == "application/octet-stream"
            assert given["x-content-type-options"] == "nosniff"


def test_a_file_that_is_too_large_is_not_taken(start: Callable[..., Any], tmp_path: Path) -> None:
    with start(CROP_MAX_UPLOAD_MB="1") as app, httpx.Client(base_url=app, timeout=60) as client:
        large = bytes(1_100_000)
        assert client.post("gradio_api/upload", files={"files": ("a.png", large, "image/png")}).status_code == 413
        many = [("files", (f"{k}.png", large[:1_000_000], "image/png")) for k in range(9)]
        assert client.post("gradio_api/upload", files=many).status_code == 413
        assert client.post("gradio_api/queue/join", content=bytes(2_500_000)).status_code == 413
    assert not [file for file in (tmp_path / "files").rglob("*") if file.is_file()]


def gone(path: Path, within: float = 10) -> bool:
    """Whether a file that is there now is deleted in so many seconds."""
    assert path.exists()
    until = time.monotonic() + within
    while path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return not path.exists()


def test_uploads_are_deleted_in_time(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CLEAN_UP_EVERY", 0.2)
    build = layout.build
    monkeypatch.setattr("tests.support.served.build", lambda *given: build(*given, keep_hours=1 / 3600))
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        path = Path(client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()[0])
        assert gone(path)
        said = told(client, str(path))
        assert "There is no file 'a.png'." in said and str(path.parent) not in said


def test_what_is_offered_is_deleted_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with HardenedBlocks(delete_cache=(0.2, 1)) as app:
        gr.Button().click(lambda: offered(b"{}", "a.json"), None, gr.DownloadButton(), api_name="make")
    app.launch(prevent_thread_lock=True, quiet=True)
    try:
        with httpx.Client(base_url=app.local_url, timeout=60) as client:
            event = client.post("gradio_api/call/make", json={"data": []}).json()["event_id"]
            client.get(f"gradio_api/call/make/{event}")
        (path,) = tmp_path.rglob("a.json")
        assert gone(path)
    finally:
        app.close()


def test_an_image_is_judged_by_its_content(start: Callable[..., Any]) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg xmlns='x'/>", b"%PDF-1.4\n"):
            path = client.post("gradio_api/upload", files={"files": ("a.png", content, "image/png")}).json()[0]
            assert "'a.png' is not an image that can be read here" in told(client, path)


def test_the_line_cannot_be_passed_by(start: Callable[..., Any]) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        config = client.get("config").json()
        queued = [each["id"] for each in config["dependencies"] if each["queue"] is not False and each["backend_fn"]]
        assert len(queued) > 10
        for index in queued:
            sent = client.post("gradio_api/run/predict", json={"data": [], "fn_index": index, "session_hash": "a"})
            assert sent.status_code == 404
        assert client.post("gradio_api/run/ask", json={"data": [None, "what?", "", "", ""]}).status_code == 404


def test_a_session_without_a_name_stops_nobody(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of these ended Gradio's queue for everybody: it has no place for their messages."""
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        index = next(each["id"] for each in client.get("config").json()["dependencies"] if each["api_name"] == "ask")
        path = client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()[0]
        data = [{"path": path, "meta": FILE}, "what?", "crop", "64", ""]
        with monkeypatch.context() as slow:
            slow.setattr("tests.support.fake_records.FakeEngine.call", lambda *_: time.sleep(0.3))
            for session in ("a", "", "", "b"):
                body = {"data": data, "fn_index": index, "session_hash": session}
                assert client.post("gradio_api/queue/join", json=body).status_code == 200
            time.sleep(0.5)
        assert "rabbit" in ask(client)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Gradio's own use of pandas, in its statistics
def test_what_no_page_sends_is_one_sentence(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []
    monkeypatch.setattr("gradio.queueing.traceback.print_exc", lambda: printed.append(sys.exc_info()))
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        for value in (5, [[]], {"path": 5, "meta": FILE}, {"path": "a\0b", "meta": FILE}, {"meta": None}):
            assert MALFORMED in previewed(client, value), value
    assert printed == []


def test_a_folder_among_the_uploads_is_no_file_and_others_are_still_deleted(
    start: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        path = Path(client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()[0])
        for folder in (path.parent, path.parent.parent):
            assert MALFORMED in previewed(client, {"path": str(folder), "meta": FILE})
            assert MALFORMED in told(client, str(folder))
        assert "complete" in told(client, str(path))
    assert not path.exists()
    assert "Traceback" not in capfd.readouterr().err


def test_a_path_of_a_megabyte_is_not_resolved(start: Callable[..., Any]) -> None:
    """It would take minutes, in the one thread that answers all."""
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        assert MALFORMED in previewed(client, {"path": "a/" * 400_000, "meta": FILE})
        assert TAKES in told(client, "a/" * 400_001 + "!")


def test_large_requests_do_not_wait_in_memory(start: Callable[..., Any]) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        fn = next(each for each in client.get("config").json()["dependencies"] if each["api_visibility"] == "private")
        body = {"data": ["x" * 2**20], "fn_index": fn["id"], "session_hash": "a"}
        refused = client.post("gradio_api/queue/join", json=body)
        assert (refused.status_code, refused.json()) == (400, {"detail": MALFORMED})


def test_nobody_asks_more_often_than_is_allowed(start: Callable[..., Any]) -> None:
    settings = {"CROP_LOGIN": "ann:one,bob:two", "CROP_RATE": "2"}
    with start(**settings) as app, httpx.Client(base_url=app, timeout=60) as ann, httpx.Client(base_url=app) as bob:
        for client, name, password in ((ann, "ann", "one"), (bob, "bob", "two")):
            given = client.post("login", data={"username": name, "password": password})
            client.headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in given.cookies.items())
        assert ["rabbit" in ask(ann) for _ in range(3)] == [True, True, False]
        assert "This server allows 2 requests a minute for each visitor; try again in" in ask(ann)
        assert "rabbit" in ask(bob)


def test_an_image_comes_back_to_nobody_else(start: Callable[..., Any]) -> None:
    """What a session is told is read with its name, which is a secret of its page."""
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        assert "rabbit" in ask(client)
        said = client.get("gradio_api/queue/data", params={"session_hash": "b"}).text
        assert "rabbit" not in said and "unexpected_error" in said


def test_nothing_about_the_server_is_in_what_is_open_to_all(start: Callable[..., Any], tmp_path: Path) -> None:
    with start() as app, httpx.Client(base_url=app, timeout=60) as client:
        for page in ("", "config", "gradio_api/info", "healthz", "readyz", "nowhere"):
            text = client.get(page).text
            assert str(Path.home()) + "/" not in text and str(ROOT) not in text
            assert str(tmp_path) not in text
