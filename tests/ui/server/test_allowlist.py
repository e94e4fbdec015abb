"""What is let in: pages, endpoints, sizes of bodies, wrong logins; and how often one visitor may ask."""

from __future__ import annotations

from typing import Any

import pytest
from gradio.context import LocalContext
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.fake_records import request
from ui.page.api import NAMES
from ui.page.images import MAX_IMAGES
from ui.server import allowlist
from ui.server.allowlist import JSON_BYTES, MB, RequestAllowlist
from ui.server.rate_limit import RateError, RateLimit, RateLimitedEngine, visitor

API = "/gradio_api/"


async def echo(request: Request) -> PlainTextResponse:
    """The length of the body; "break" breaks, and a login as "ann" alone is right."""
    body = await request.body()
    if body == b"break":
        raise KeyError("/srv/secret")
    return PlainTextResponse(str(len(body)), 400 if request.url.path == "/login" and body != b"ann" else 200)


def client(**options: Any) -> TestClient:
    """An app in which every path exists, behind the gate."""
    routes = [Route("/{path:path}", echo, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(RequestAllowlist, max_upload_mb=1, **options)]))


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/healthz", "/metrics", "/theme.css", "/static/img/logo.svg", "/assets/index-1.js", "/login/"]
    + [API + name for name in ("info", "upload", "queue/join", "queue/data", "cancel", "heartbeat/abc", "run/begin")]
    + [
        API + name
        for name in ("call/ask", "call/compare/12ab", "call/v2/localize", "file=/tmp/a b.png", "file=C:/a.png", "mcp/")
    ],
)
def test_what_the_page_and_programs_use_is_let_in(path: str) -> None:
    assert client().get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/docs", "/openapi.json", "/monitoring", "/runs", "/nowhere", "/config/x", "/gradio_api"]
    + [API + name for name in ("proxy=https://x.hf.space/", "component_server", "process_recording", "vibe-edit")]
    + [API + name for name in ("deep_link?session_hash=a", "custom_component/a/client/b/c", "dev/reload", "stream/a")]
    + [API + name for name in ("call/begin", "call/askk", "call/v2/withdraw", "api/ask", "openapi.json", "token")]
    + [API + name for name in ("file=http://127.0.0.1/a", "file=HTTPS://a.b/c", "file=ftp://a", "file/http://a.b/c")],
)
def test_all_else_is_not_found(path: str) -> None:
    answer = client().get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing here."})


def test_the_endpoints_are_the_named_ones_and_uploads_are_one_questions_images() -> None:
    assert allowlist.ENDPOINTS.split("|") == list(NAMES)
    assert allowlist.FILES == MAX_IMAGES


def test_a_body_has_a_largest_size_whatever_its_header_says() -> None:
    served = client()
    assert served.post(API + "queue/join", content=bytes(JSON_BYTES)).text == str(JSON_BYTES)
    refused = served.post(API + "queue/join", content=bytes(JSON_BYTES + 1))
    assert (refused.status_code, refused.json()) == (413, {"detail": "The request is too large: it may have 1 MB."})
    pieces = (bytes(JSON_BYTES // 2) for _ in range(3))  # sent without a length
    assert served.post(API + "queue/join", content=pieces).status_code == 413
    assert served.post(API + "upload", content=bytes(7 * MB)).status_code == 200
    assert served.post(API + "upload", content=bytes(7 * MB + 1)).status_code == 413


def test_what_breaks_gradio_is_told_without_details(caplog: pytest.LogCaptureFixture) -> None:
    answer = client().post(API + "queue/join", content=b"break")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "The request cannot be read: it is not what this app's page sends."}
    assert [record.getMessage() for record in caplog.records if record.name == allowlist.__name__] == [
        "refused what no page sends: KeyError at '/gradio_api/queue/join'"
    ]


def test_guessing_passwords_is_slow() -> None:
    now = [0.0]
    served = client(wrong_logins=RateLimit(2, "wrong logins", lambda: now[0]))
    assert [served.post("/login", content=name).status_code for name in (b"ann", b"bob", b"bob")] == [200, 400, 400]
    refused = served.post("/login", content=b"ann")
    assert refused.status_code == 429
    assert refused.json() == {"detail": "This server takes 2 wrong logins a minute from each; try again in 60 s."}
    assert served.get("/").status_code == 200
    now[0] = 61.0
    assert served.post("/login", content=b"ann").status_code == 200


def test_a_minute_is_the_last_one_and_each_has_their_own() -> None:
    now = [0.0]
    rate = RateLimit(2, clock=lambda: now[0])
    rate.take("ann")
    now[0] = 30.0
    rate.take("ann")
    rate.take("bob")
    with pytest.raises(RateError, match=r"^This server takes 2 questions a minute .*; try again in 30 s\.$"):
        rate.take("ann")
    now[0] = 60.0
    rate.take("ann")
    with pytest.raises(RateError, match="in 30 s"):
        rate.take("ann")
    now[0] = 200.0
    rate.take("carl")
    assert set(rate._done) == {"carl"}  # who did nothing for a minute is forgotten


class Engine:
    """Tells what was asked."""

    keeps_history = True

    def call(self, request: Any) -> Any:
        return "call", request

    def stream(self, request: Any) -> Any:
        return "stream", request


@pytest.mark.parametrize("kind", ["answer", "compare", "localize", "stream", "run_many"])
def test_every_request_counts_as_one_question(kind: Any) -> None:
    engine, asked = RateLimitedEngine(Engine(), RateLimit(1)), request(kind)
    assert engine.keeps_history
    entry = "stream" if kind in ("stream", "run_many") else "call"
    assert getattr(engine, entry)(asked) == (entry, asked)
    with pytest.raises(RateError):
        engine.call(request("localize"))


@pytest.mark.parametrize(("name", "who"), [("ann", "ann"), (None, "10.0.0.7")])
def test_a_visitor_is_a_login_or_an_address(name: str | None, who: str) -> None:
    class Asked:
        username = name
        client = type("Client", (), {"host": "10.0.0.7"})

    token = LocalContext.request.set(Asked())  # type: ignore[arg-type]
    try:
        assert visitor() == who
    finally:
        LocalContext.request.reset(token)
    assert visitor() == ""
