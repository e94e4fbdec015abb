"""What is let in: the pages, files and endpoints that the app itself uses, in bodies of a bounded size.

Gradio serves more than that (a proxy, recordings, functions of components, addresses fetched for whoever asks, ...);
here all of it is "not found". Knows nothing of what the endpoints do.
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
JSON_BYTES = MB  # of a request that is no upload; the page's largest are some kB
FILES = 6  # of the largest size in one upload, which is as many images as one question can be about
ENDPOINTS = "ask|compare|localize"  # `ui.page.api.NAMES`
STRANGE = "The request cannot be read: it is not what this app's page sends."
PAGES = re.compile(
    r"/|/(config|login|logout|healthz|readyz|metrics|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?"
    r"|/(assets|static|svelte)/.+|/pwa_icon(/\d+)?"
)
API = re.compile(
    r"/gradio_api/("
    r"(info|upload|upload_progress|queue/(join|data|status)|cancel|reset|login_check|user|app_id|startup-events|theme\.css)/?"
    rf"|call/(v2/)?({ENDPOINTS})(/\w*)?"
    r"|run/\w+/?"  # of what does not wait in the queue; all else refuses it
    r"|heartbeat/\w+"
    r"|file=(?!\w\w+:).+"  # no address, which would be fetched; Windows has drives of one letter
    r"|mcp(/.*)?)",
    re.DOTALL,
)
DIRECT = re.compile(r"/gradio_api/run/\w+/?")
UPLOAD = re.compile(r"/gradio_api/(upload|mcp(/.*)?)/?")  # an MCP client sends its images inside JSON


class RequestAllowlist:
    """Middleware. Answers 404 to what is not let in, 413 to a body that is too large, 400 to what Gradio cannot read,
    429 where somebody guesses passwords; each with one sentence.

    Args:
        app: what is behind it.
        max_upload_mb: the largest file.
        wrong_logins: failed logins by address; None where nobody logs in.
    """

    def __init__(self, app: ASGIApp, max_upload_mb: int, wrong_logins: RateLimit | None = None) -> None:
        self.app, self._wrong = app, wrong_logins
        self._upload_bytes = (FILES * max_upload_mb + 1) * MB

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        await self._chosen(scope)(scope, receive, send)

    def _chosen(self, scope: Scope) -> ASGIApp:
        """Who answers a request."""
        if scope["type"] != "http":
            return self.app
        path = scope["path"]
        if not (PAGES.fullmatch(path) or API.fullmatch(path)):
            return _refusal(404, "There is nothing here.")
        limit = self._upload_bytes if UPLOAD.fullmatch(path) else JSON_BYTES
        if _announced(scope) > limit:
            return _refusal(413, _too_large(limit))
        behind = self._login if path.rstrip("/") == "/login" else self._understood

        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            await behind(scope, _bounded(receive, limit), send)

        return bounded

    async def _understood(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; where Gradio breaks at a request, the request is at fault: answer 400, or end what was begun."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            if message.get("status") == 500 and DIRECT.fullmatch(scope["path"]):
                message["status"] = 400  # which is how Gradio tells a refusal there
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            log.warning("refused what no page sends: %s at %r", type(error).__name__, scope["path"][:60])
            if begun:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _refusal(400, STRANGE)(scope, receive, send)

    async def _login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A login, unless too many failed from the same address; one that fails counts."""
        who, wrong = (scope.get("client") or [""])[0], self._wrong
        if wrong is None:
            await self._understood(scope, receive, send)
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
            await self._understood(scope, receive, counted)


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status)


def _too_large(limit: int) -> str:
    return f"The request is too large: it may have {limit // MB} MB."


def _announced(scope: Scope) -> int:
    """Bytes of the body by its header; 0 where it says nothing, or nothing that can be read."""
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _bounded(receive: Receive, limit: int) -> Receive:
    """`receive` that ends a body which is longer than it may be, whatever its header said."""
    left = limit

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, _too_large(limit))
        return message

    return bounded
