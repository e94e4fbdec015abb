"""Fuzzing of the running app: wrong paths, bodies and methods, from several threads."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx

from benchmarks.app_process import ROOT, app_process
from benchmarks.fuzzing.mutations import PRIVATE

API = "gradio_api/"
PATHS = (
    "", "config", "login", "logout", "healthz", "readyz", "metrics", "nowhere", "docs", "openapi.json", "monitoring",
    "runs", "theme.css", "pwa_icon/99999999", "manifest.json", "static/../../app.py", "assets/..%2f..%2fapp.py",
    "svelte/%2e%2e/%2e%2e/x", "static/img/logo.svg", "assets/index.js", "static//etc/passwd",
    *(API + path for path in (
        "info", "openapi.json", "app_id", "user", "token", "login_check", "startup-events", "queue/status", "upload",
        "file=/etc/passwd", "file=../../../../etc/passwd", "file=..%2f..%2f..%2fetc/passwd", "file=", "file=%00",
        "file=http://127.0.0.1:1/", "file=https://example.com/a.png", "file=HTTP://example.com", "file=//example.com/x",
        "file=file:///etc/passwd", "file=" + "a" * 5000, "file/etc/passwd", "file=%ff%fe", "file=.env",
        "proxy=http://127.0.0.1:1/", "proxy=https://x.hf.space/", "component_server", "deep_link?session_hash=a",
        "custom_component/x/client/a/b", "heartbeat/aaaa", "heartbeat/%00", "heartbeat/../x", "upload_progress",
        "queue/data", "queue/data?session_hash=nobody", "call/ask/nothing", "call/ask", "call/v2/ask", "call/begin",
        "stream/a/1/1/playlist.m3u8", "stream/a/1/1/x.ts", "dev/reload", "mcp/", "run/predict", "api/predict",
    )),
)  # fmt: skip
POSTS = ("queue/join", "queue/join", "queue/join", "call/ask", "call/compare", "call/localize", "call/v2/ask", "call/x",
         "run/predict", "run/ask", "api/ask", "cancel", "reset", "component_server", "upload", "process_recording",
         "vibe-edit", "stream/x", "queue/data", "mcp/")  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 7, 2**63, 10**30, 0.5, float("nan"), "", "crop", "what?", "64", "drawn", "a" * 3000, "\0",
    "<img src=x onerror=alert(1)>", [], [[]], {}, {"path": None}, {"path": "/etc/passwd"},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"path": "../../etc/passwd", "meta": {"_type": "gradio.FileData"}},
    {"path": "http://127.0.0.1:1/a.png", "meta": {"_type": "gradio.FileData"}},
    {"path": "https://example.com/a.png", "url": "https://example.com/a.png", "meta": {"_type": "gradio.FileData"}},
    {"path": 5, "meta": 5}, {"path": "a", "meta": None}, {"path": "x\0y", "meta": {"_type": "gradio.FileData"}},
    {"value": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}}, {"index": 10**9}, {"__type__": "update"},
)  # fmt: skip
SESSIONS = ("aaaa", "b" * 500, "../x", "", None, 5, ["a"])
HEADERS: tuple[dict[str, str], ...] = (
    {}, {"Range": "bytes=0-"}, {"Range": "bytes=9-1"}, {"Range": "bytes=a-b"}, {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-For": "1.2.3.4, x"}, {"X-Forwarded-Proto": "https,http"}, {"Cookie": "access-token=a; x"},
    {"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Content-Type": "text/plain"},
    {"Content-Type": "multipart/form-data"}, {"Content-Type": "application/json; charset=utf-7"},
    {"Accept-Language": "\u00e9" * 50}, {"If-None-Match": "*"}, {"X-Gradio-User": "app"}, {"Authorization": "Bearer x"},
)  # fmt: skip


def request(rng: Random) -> dict[str, Any]:
    """A random request, as the keyword arguments of `httpx.Client.stream`."""
    kinds: tuple[Callable[[Random], dict[str, Any]], ...] = (_page, _event, _event, _event, _upload, _garbage)
    sent = rng.choice(kinds)(rng)
    if rng.random() < 0.2:
        more = {name: value.encode("latin-1") for name, value in rng.choice(HEADERS).items()}
        sent["headers"] = {**sent.get("headers", {}), **more}
    return sent


def _page(rng: Random) -> dict[str, Any]:
    """Any path with any method."""
    path = rng.choice(PATHS)
    if rng.random() < 0.2:
        path += rng.choice(("/", "?a=1", "%00", "/../x", "?session_hash=" + "a" * 2000, "#", "?__theme=dark", "//"))
    return {"method": rng.choice(METHODS) if rng.random() < 0.3 else "GET", "url": path}


def _event(rng: Random) -> dict[str, Any]:
    """An event of the page or an API request, with data of any shape."""
    body: dict[str, Any] = {"data": [rng.choice(VALUES) for _ in range(rng.choice((0, 1, 2, 3, 5, 12, 16)))]}
    for key, value, share in (
        ("session_hash", rng.choice(SESSIONS), 0.8),
        ("fn_index", rng.choice((*range(-2, 90), None, "1", 10**9)), 0.7),
        ("event_id", rng.choice(("x", None, 5)), 0.3),
        ("trigger_id", rng.choice((1, None, "x", 10**9)), 0.2),
        ("event_data", rng.choice(VALUES), 0.3),
        ("batched", rng.choice((True, None, "x")), 0.1),
        ("simple_format", True, 0.1),
    ):
        if rng.random() < share:
            body[key] = value
    if rng.random() < 0.05:
        body["data"] = rng.choice(VALUES)
    headers = {"Content-Type": "application/json"}
    return {"method": "POST", "url": API + rng.choice(POSTS), "content": json.dumps(body).encode(), "headers": headers}


def _upload(rng: Random) -> dict[str, Any]:
    """Uploads of files with any name, number and type."""
    names = ("a.png", "../../a.png", "/etc/passwd", "a\0b.png", "<b>.png", "x" * 3000, "", ".env", "a.html", "é🦊.jpg")
    files = [
        (rng.choice(("files", "files", "x", "")), (rng.choice(names), rng.randbytes(rng.choice((0, 10, 5000))), kind))
        for kind in ["image/png", "text/html", "x"][: rng.randint(1, 3)]
    ]
    sent: dict[str, Any] = {
        "method": "POST",
        "url": API + rng.choice(("upload", "upload?upload_id=x")),
        "files": files,
    }
    if rng.random() < 0.02:
        sent["files"] = [("files", ("large.png", bytes(rng.choice((3, 14)) * 2**20), "image/png"))]
    return sent


def _garbage(rng: Random) -> dict[str, Any]:
    """A body that is invalid, too deep or too large."""
    bodies = (
        b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"data": ' + b"[" * 50_000,
        b'{"data": [' + b"[" * 400 + b"]" * 400 + b"]}",
        b'{"data": [NaN, 1e999]}', b'{"data": [], "data": 5}', b"a" * rng.choice((10, 1000)), bytes(1_100_000),
        b"--x\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n", rng.randbytes(300),
    )  # fmt: skip
    kind = rng.choice(("application/json", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain"))
    body = bodies[11] if rng.random() < 0.02 else rng.choice([each for k, each in enumerate(bodies) if k != 11])
    where = rng.choice((*(API + path for path in POSTS), "login", "", "config"))
    return {"method": "POST", "url": where, "content": body, "headers": {"Content-Type": kind}}


SECONDS = 20.0  # per response; a question before it in the queue takes about one
THREADS = 4
QUESTION = "which thing is between the car and the blue sign?"
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t+|].*\n|\n)*\S.*")
QUEUE_FULL = 503
PASS_THROUGH = ("ui/server/", "app.py", ".venv/")


class Surface:
    """Its own app in an empty folder; the log is checked at the end."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log.txt"
        settings = {"GRADIO_TEMP_DIR": str(folder / "files"), "HF_HUB_OFFLINE": "1", "CROP_MAX_UPLOAD_MB": "2"}
        self._app = app_process(self._log, folder, **settings)
        self._statuses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Surface:
        self.address, _ = self._app.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._app.__exit__(*error)

    def run(self, seed: int, first: int, count: int) -> list[dict[str, Any]]:
        """Findings: wrong responses, tracebacks, and an app that no longer answers a valid question."""
        findings: list[dict[str, Any]] = []
        threads = [
            threading.Thread(target=self._worker, args=(seed, range(first + k, first + count, THREADS), findings))
            for k in range(THREADS)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return self._health() + self._tracebacks() + findings

    def _worker(self, seed: int, numbers: range, findings: list[dict[str, Any]]) -> None:
        with httpx.Client(base_url=self.address, timeout=SECONDS) as client:
            for number in numbers:
                rng = Random(f"{seed}/surface/{number}")
                error = self._one(client, rng)
                if error:
                    with self._lock:
                        findings.append({"number": number, "error": error})

    def _one(self, client: httpx.Client, rng: Random) -> str:
        """The error in the response to one request; empty when there is none."""
        sent = request(rng)
        name = f"{sent['method']} {sent['url'][:120]}"
        began = time.monotonic()
        try:
            answer, text = _answer(client, sent)
        except (httpx.InvalidURL, httpx.LocalProtocolError):
            return ""  # not sent
        except httpx.TimeoutException:
            return f"{name}: no answer"
        except httpx.HTTPError as error:
            return f"{name}: {error!r}"
        with self._lock:
            self._statuses[str(answer.status_code)] += 1
        if answer.status_code >= 500 and answer.status_code != QUEUE_FULL:
            return f"{name}: {answer.status_code} {text[:200]}"
        if answer.status_code >= 400 and any(place in text for place in PRIVATE):
            return f"{name}: reveals a path: {text[:300]}"
        return f"{name}: took {time.monotonic() - began:.0f} s" if time.monotonic() - began > SECONDS else ""

    def _tracebacks(self) -> list[dict[str, Any]]:
        """Tracebacks in the log that pass through our handlers or engine; Gradio's own are counted by class."""
        log = self._log.read_text(encoding="utf-8", errors="replace")
        every = TRACEBACK.findall(log)
        classes = Counter(each.rpartition("\n")[2].partition(":")[0][:60] for each in every)
        self._logged = {"tracebacks_of_gradio": dict(classes), "log_kb": len(log) // 1024}
        ours = [each for each in every if self._ours(each)]
        return [{"number": -1, "error": each[-2500:]} for each in ours]

    def _ours(self, traceback: str) -> bool:
        """Whether a handler or the engine is in the traceback; the allowlist is in every one."""
        files = re.findall(rf'File "{re.escape(str(ROOT))}/([^"]+)"', traceback)
        return any(not file.startswith(PASS_THROUGH) for file in files)

    def _health(self) -> list[dict[str, Any]]:
        """Whether a valid question is still answered."""
        image = (ROOT / "assets" / "examples" / "01.jpg").read_bytes()
        with httpx.Client(base_url=self.address, timeout=120) as client:
            upload = client.post("gradio_api/upload", files={"files": ("a.jpg", image, "image/jpeg")}).json()
            data = [{"path": upload[0], "meta": {"_type": "gradio.FileData"}}, QUESTION, "crop", "64", ""]
            for _ in range(60):
                sent = client.post("gradio_api/call/ask", json={"data": data})
                if sent.status_code != QUEUE_FULL:
                    break
                time.sleep(1)  # earlier requests are answered first
            event = sent.json().get("event_id", sent.text)
            text = client.get(f"gradio_api/call/ask/{event}").text
        if "event: complete" in text and '"answer"' in text:
            return []
        return [{"number": -1, "error": f"a valid question is no longer answered: {text[:300]}"}]

    def counts(self) -> dict[str, Any]:
        """Responses by status, and the counts of logged tracebacks."""
        return {"statuses": dict(sorted(self._statuses.items())), **self._logged}


def _answer(client: httpx.Client, sent: dict[str, Any]) -> tuple[httpx.Response, str]:
    """The response and its text; retried once if the connection was closed after an earlier response."""
    for last in (False, True):
        try:
            with client.stream(**sent) as answer:
                endless = "heartbeat" in str(answer.url) and answer.status_code == 200
                text = next(answer.iter_text(), "") if endless else answer.read().decode("utf-8", "replace")
                return answer, text
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if last:
                raise
    raise AssertionError
