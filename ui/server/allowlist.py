"""Allow-list of requests: the pages, files and endpoints that the app itself uses, in bodies of a bounded size.

Gradio serves more than that (a proxy, recordings, functions of components, fetching of addresses, ...); here all of it
is "not found". Knows nothing of what the endpoints do.
"""

from __future__ import annotations

import logging
import re

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.rate_limit import RateError, RateLimit

log = logging.getLogger(__name__)
MB = 2**20
JSON_BYTES = MB  # of a request other than an upload; the page's largest are some kB
FILES = 6  # of the largest size in one upload: as many images as one question may have
ENDPOINTS = "ask|compare|localize"  # `ui.page.api.NAMES`
MALFORMED = "The request cannot be read: this app's page does not send such requests."
PAGES = re.compile(
    r"/|/(config|login|logout|healthz|readyz|metrics|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?"
    r"|/(assets|static|svelte)/.+|/pwa_icon(/\d+)?"
)
API = re.compile(
    r"/gradio_api/("
    r"(info|upload|upload_progress|queue/(join|data|status)|cancel|reset|login_check|user|app_id|startup-events|theme\.css)/?"
    rf"|call/(v2/)?({ENDPOINTS})(/\w*)?"
    r"|run/\w+/?"  # of what does not wait in the queue; others refuse it
    r"|heartbeat/\w+"
    r"|file=(?!\w\w+:).+"  # no URL, which would be fetched; Windows has drives of one letter
    r"|mcp(/.*)?)",
    re.DOTALL,
)
DIRECT = re.compile(r"/gradio_api/run/\w+/?")
UPLOAD = re.compile(r"/gradio_api/(upload|mcp(/.*)?)/?")  # an MCP client sends its images inside JSON


class RequestAllowlist:
    """Middleware: 404 for what is not listed, 413 for too large a body, 400 for what Gradio cannot read, 429 for too
    many failed logins; each with one sentence.

    Args:
        app: the wrapped app.
        max_upload_mb: the largest file.
        wrong_logins: failed logins by address; None without a login.
    """

    def __init__(self, app: ASGIApp, max_upload_mb: int, wrong_logins: RateLimit | None = None) -> None:
        self.app, self._wrong = app, wrong_logins
        self._upload_bytes = (FILES * max_upload_mb + 1) * MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        await self._route(scope)(scope, receive, send)

    def _route(self, scope: Scope) -> ASGIApp:
        """The app that answers a request."""
        if scope["type"] != "http":
            return self.app
        path = scope["path"]
        if not (PAGES.fullmatch(path) or API.fullmatch(path)):
            return _refusal(404, "There is nothing here.")
        limit = self._upload_bytes if UPLOAD.fullmatch(path) else JSON_BYTES
        if _announced(scope) > limit:
            return _refusal(413, _too_large(limit))
        behind = self._login if path.rstrip("/") == "/login" else self._guarded

        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            await behind(scope, _bounded(receive, limit), send)

        return bounded

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; an exception of Gradio means a malformed request: answer 400, or end a response that began."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            if message.get("status") == 500 and DIRECT.fullmatch(scope["path"]):
                message["status"] = 400  # Gradio's status for a refusal there
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            log.warning("malformed request refused: %s at %r", type(error).__name__, scope["path"][:60])
            if started:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _refusal(400, MALFORMED)(scope, receive, send)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a login on, unless too many failed from the same address; count one that fails."""
        who, wrong = (scope.get("client") or [""])[0], self._wrong
        if wrong is None:
            await self._guarded(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message.get("status", 200) >= 400:
                wrong.count(who)
            await send(message)

        try:
            wrong.check(who)
        except RateError as error:
            await _refusal(429, str(error))(scope, receive, send)
        else:
            await self._guarded(scope, receive, counted)


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status)


def _too_large(limit: int) -> str:
    return f"The request is too large; the limit is {limit // MB} MB."


def _announced(scope: Scope) -> int:
    """Bytes of the body by its header; 0 where it is missing or invalid."""
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive` that refuses a body longer than `limit`, whatever its header says."""
    left = limit

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, _too_large(limit))
        return message

    return bounded
