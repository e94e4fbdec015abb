"""Wrong passwords: slowed for each address, logged without them; others go on."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.served import served
from ui.server.hosting import WRONG_LOGINS
from ui.server.login_limit import LoginLimit
from ui.server.rate_limit import RateLimit, network
from ui.server.request_log import JSON, Log


async def login(request: Request) -> PlainTextResponse:
    """A login as "ann" alone is right."""
    return PlainTextResponse("", 200 if await request.body() == b"ann" else 400)


class Clock:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def visitor(clock: Clock, log: io.StringIO) -> Callable[[str], TestClient]:
    """A client at an address, of one app."""
    limit = Middleware(LoginLimit, wrong=RateLimit(10, "wrong login", clock), log=Log(JSON, log))
    routes = [Route("/{path:path}", login, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[limit])
    return lambda address: TestClient(app, client=(address, 5))


def test_the_eleventh_wrong_login_in_a_minute_waits(
    visitor: Callable[[str], TestClient], clock: Clock, log: io.StringIO
) -> None:
    one = visitor("10.0.0.7")
    for second in range(10):
        clock.now = second
        assert one.post("/login", content=b"hunter2").status_code == 400
    refused = one.post("/login/", content=b"ann")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "51")
    limited = "This server allows 10 wrong logins a minute for each visitor; try again in 51 s."
    assert refused.json() == {"detail": limited}
    assert visitor("10.0.0.8").post("/login", content=b"ann").status_code == 200, "others go on"
    assert one.get("/login").status_code == 400 and one.post("/").status_code == 400, "it is no login"
    clock.now = 60.5
    assert one.post("/login", content=b"ann").status_code == 200
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    outcomes = [(line["endpoint"], line["outcome"], line["address"]) for line in lines]
    assert outcomes == [("login", "failed", "10.0.0.7")] * 10 + [("login", "refused", "10.0.0.7")]
    assert "hunter2" not in log.getvalue() and "ann" not in log.getvalue()


def test_right_logins_do_not_count(visitor: Callable[[str], TestClient]) -> None:
    one = visitor("10.0.0.7")
    assert {one.post("/login", content=b"ann").status_code for _ in range(30)} == {200}
    assert [one.post("/login", content=b"x").status_code for _ in range(11)] == [400] * 10 + [429]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The app with two logins."""
    with served(tmp_path, {"CROP_LOGIN": "ann:one,bob:two"}, monkeypatch) as address:
        yield address


def attempt(app: str, password: str, address: str = "", name: str = "ann") -> int:
    """Status of a login, as a proxy on this machine passes it on for an address."""
    headers = {"X-Forwarded-For": address} if address else {}
    return httpx.post(f"{app}login", data={"username": name, "password": password}, headers=headers).status_code


def test_many_at_once_are_no_more_than_one_by_one(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(20) as threads:
        told = list(threads.map(lambda k: attempt(app, f"hunter{k}"), range(40)))
    assert sorted(told) == [400] * WRONG_LOGINS + [429] * 30
    assert attempt(app, "one") == 429
    said = capfd.readouterr().err
    assert said.count('"outcome": "failed"') == WRONG_LOGINS and "hunter" not in said


def test_behind_a_proxy_the_forwarded_address_counts(app: str) -> None:
    assert [attempt(app, "no", "203.0.113.1") for _ in range(11)] == [400] * 10 + [429]
    assert attempt(app, "two", "203.0.113.2", "bob") == 200
    assert attempt(app, "two", "203.0.113.1, 203.0.113.2", "bob") == 200, "the last is what the proxy itself has seen"
    assert attempt(app, "one", "203.0.113.1") == 429


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2::5", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:1:2:3", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_who_has_a_network_is_one_visitor(address: str, visitor: str) -> None:
    assert network(address) == visitor


def test_addresses_of_one_network_wait_together(app: str) -> None:
    assert [attempt(app, "no", f"2001:db8:1:2::{k:x}") for k in range(1, 12)] == [400] * 10 + [429]
    assert attempt(app, "two", "2001:db8:1:3::1", "bob") == 200, "the next network goes on"
    mixed = [attempt(app, "no", f"{'::ffff:' * (k % 2)}203.0.113.7") for k in range(11)]
    assert mixed == [400] * 10 + [429]


ODD = {  # name and password that are none: none of them is a failure inside, or let in
    "nothing": {},
    "empty": {"username": "", "password": ""},
    "no password": {"username": "ann"},
    "SQL": {"username": "' OR 1=1 --", "password": "' OR 1=1 --"},
    "HTML": {"username": "<script>alert(1)</script>", "password": "x"},
    "lines": {"username": "ann\nbob", "password": "x\r\ny"},
    "a NUL": {"username": "ann\0", "password": "one\0"},
    "long": {"username": "ann", "password": "x" * 900_000},
    "capitals": {"username": "ANN", "password": "one"},
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_no_login_is_refused_and_counted(case: str, app: str, capfd: pytest.CaptureFixture[str]) -> None:
    told = [httpx.post(f"{app}login", data=ODD[case]) for _ in range(11)]
    assert [each.status_code for each in told] == [400] * 10 + [429]
    assert all(set(each.json()) == {"detail"} and not each.cookies for each in told)
    said = capfd.readouterr().err
    assert "Traceback" not in said and "script" not in said and "OR 1=1" not in said and "xxxx" not in said


def test_a_login_of_megabytes_is_refused(app: str) -> None:
    assert httpx.post(f"{app}login", data={"username": "ann", "password": "x" * 3_000_000}).status_code == 413
