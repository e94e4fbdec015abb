"""What is let in: pages, endpoints, sizes of bodies; and how often one visitor may ask."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from gradio.context import LocalContext
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.fake_records import request
from ui.page.api import NAMES
from ui.page.api_inputs import MALFORMED_CALL, NO_ROOM
from ui.page.images import MAX_IMAGES
from ui.server import allowlist
from ui.server.allowlist import MB, RequestAllowlist
from ui.server.rate_limit import RateError, RateLimit, RateLimitedEngine, visitor

API = "/gradio_api/"


async def echo(request: Request) -> PlainTextResponse:
    """The length of the body; "break" breaks, "full" finds the disk full, "list" gets a list of complaints."""
    body = await request.body()
    if body == b"break":
        raise KeyError("/srv/secret")
    if body == b"full":
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret")
    return JSONResponse([{"loc": ["body"]}], 422) if body == b"list" else PlainTextResponse(str(len(body)))


def client(answer: Any = echo, **options: Any) -> TestClient:
    """An app in which every path exists, behind the gate."""
    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    gate = Middleware(RequestAllowlist, max_upload_mb=1)
    return TestClient(Starlette(routes=routes, middleware=[gate]), **options)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/healthz",
        "/metrics",
        "/theme.css",
        "/static/img/logo.svg",
        "/assets/index-1.js",
        "/login/",
        "/gradio.js",
    ]
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


@pytest.mark.parametrize(
    ("path", "limit"),
    [("upload", 7 * MB), ("cancel", MB), ("run/begin", MB)]
    + [(name, MB * 4 // 3 + MB) for name in ("queue/join", "call/ask", "call/v2/localize", "mcp/")],
)
def test_a_body_has_a_largest_size_whatever_its_header_says(path: str, limit: int) -> None:
    served = client()
    assert served.post(API + path, content=bytes(limit)).text == str(limit)
    refused = served.post(API + path, content=bytes(limit + 1))
    told = {"detail": f"The request is too large; the limit is {limit // MB} MB."}
    assert (refused.status_code, refused.json()) == (413, told)
    pieces = (bytes(limit // 2) for _ in range(3))  # sent without a length
    assert served.post(API + path, content=pieces).status_code == 413


def test_what_breaks_gradio_is_told_without_details(caplog: pytest.LogCaptureFixture) -> None:
    answer = client().post(API + "queue/join", content=b"break")
    assert answer.status_code == 400
    assert answer.json() == {"detail": "The request cannot be read: this app's page does not send such requests."}
    assert [record.getMessage() for record in caplog.records if record.name == allowlist.__name__] == [
        "malformed request refused: KeyError at '/gradio_api/queue/join'"
    ]


@pytest.mark.parametrize("path", ["call/ask", "call/v2/compare", "call/localize/"])
@pytest.mark.parametrize("content", [b"break", b"list"])
def test_a_call_that_cannot_be_read_is_told_where_the_parameters_stand(path: str, content: bytes) -> None:
    answer = client().post(API + path, content=content)
    assert (answer.status_code, answer.json()) == (400, {"detail": MALFORMED_CALL})
    assert "/gradio_api/info" in MALFORMED_CALL


def test_a_full_disk_is_told_as_one() -> None:
    answer = client().post(API + "upload", content=b"full")
    assert (answer.status_code, answer.json()) == (507, {"detail": NO_ROOM})


async def forwarded(request: Request) -> JSONResponse:
    """The addresses that a request says it is forwarded for."""
    return JSONResponse(request.headers.getlist("x-forwarded-for"))


def test_a_tool_is_called_with_the_address_of_its_caller_alone() -> None:
    """The MCP server passes the headers on, from this machine, whose word about addresses counts."""
    served = client(forwarded, client=("10.0.0.7", 5))
    for path, told in (("mcp/", ["10.0.0.7"]), ("call/ask", ["1.2.3.4"])):
        assert served.post(API + path, headers={"X-Forwarded-For": "1.2.3.4"}).json() == told


def test_a_minute_is_the_last_one_and_each_has_their_own() -> None:
    now = [0.0]
    rate = RateLimit(2, clock=lambda: now[0])
    rate.take("ann")
    now[0] = 30.0
    rate.take("ann")
    rate.take("bob")
    with pytest.raises(RateError, match=r"^This server allows 2 requests a minute .*; try again in 30 s\.$"):
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
    reads_several = True
    short_answer_request = ""

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


def test_a_measurement_counts_as_none() -> None:
    engine = RateLimitedEngine(Engine(), RateLimit(1))
    for _ in range(3):
        assert engine.stream(request("measure"))[0] == "stream"
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
