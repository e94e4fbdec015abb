"""Allow-list of requests: the pages, files and endpoints that the app itself uses, in bodies of a bounded size.

Gradio serves more than that (a proxy, recordings, functions of components, fetching of addresses, ...); here all of it
is "not found". Knows nothing of what the endpoints do.
"""

from __future__ import annotations

import errno
import logging
import re

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.page.api_inputs import MALFORMED_CALL, NO_ROOM

log = logging.getLogger(__name__)
MB = 2**20
JSON_BYTES = MB  # of a request without a file; the page's largest are some kB
FILES = 6  # of the largest size in one upload: as many images as one question may have
ENDPOINTS = "ask|compare|localize"  # `ui.page.api.NAMES`
MALFORMED = "The request cannot be read: this app's page does not send such requests."
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)  # not what a name can cause
PAGES = re.compile(
    r"/|/gradio\.js|/(config|login|logout|healthz|readyz|metrics|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?"
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
UPLOAD = re.compile(r"/gradio_api/upload/?")
STOP = re.compile(r"/gradio_api/(cancel|reset)/?")
MCP = re.compile(r"/gradio_api/mcp(/.*)?")
NOT_FORWARDED = (b"x-forwarded-for", b"transfer-encoding", b"expect", b"connection", b"range")
CALL = re.compile(rf"/gradio_api/call/(v2/)?({ENDPOINTS})/?")
WITH_IMAGE = re.compile(rf"/gradio_api/queue/join/?|{CALL.pattern}|{MCP.pattern}")  # inside its JSON, in base64


class RequestAllowlist:
    """Middleware: 404 for what is not listed, 413 for too large a body, 400 for what Gradio cannot read, 507 for what
    the disk does not take; each with one sentence.

    Args:
        app: the wrapped app.
        max_upload_mb: the largest file.
    """

    def __init__(self, app: ASGIApp, max_upload_mb: int) -> None:
        self.app = app
        self._limits = {UPLOAD: (FILES * max_upload_mb + 1) * MB, WITH_IMAGE: max_upload_mb * MB * 4 // 3 + MB}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        await self._route(scope)(scope, receive, send)

    def _route(self, scope: Scope) -> ASGIApp:
        """The app that answers a request."""
        if scope["type"] != "http":
            return self.app
        path = scope["path"]
        if not (PAGES.fullmatch(path) or API.fullmatch(path)):
            return refusal(404, "There is nothing here.")
        limit = next((limit for pattern, limit in self._limits.items() if pattern.fullmatch(path)), JSON_BYTES)
        if _announced(scope) > limit:
            return refusal(413, _too_large(limit))

        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            known = _forwarded(scope) if MCP.fullmatch(path) else scope
            await self._guarded(known, _bounded(receive, limit), send)

        return bounded

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; an exception of Gradio means a malformed request: answer 400, or end a response that began."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            if message.get("status") == 422:
                raise ValueError("a list of complaints of Gradio's framework")
            started = True
            if message.get("status") == 500 and (DIRECT.fullmatch(scope["path"]) or MCP.fullmatch(scope["path"])):
                message["status"] = 400  # Gradio's status for a refusal, and that of mcp for what is no JSON
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            log.warning("malformed request refused: %s at %r", type(error).__name__, scope["path"][:60])
            if started:
                await send({"type": "http.response.body", "body": b""})
            else:
                await _answer(error, scope["path"])(scope, receive, send)


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Response with one sentence."""
    return JSONResponse({"detail": sentence}, status, headers)


def _answer(error: Exception, path: str) -> JSONResponse:
    """Response to a request that Gradio could not answer."""
    if isinstance(error, OSError) and error.errno in DISK and UPLOAD.fullmatch(path):
        return refusal(507, NO_ROOM)
    if STOP.fullmatch(path):  # Gradio's page stops what has no id yet, or none any more: nothing runs by it
        return JSONResponse({"success": True})
    return refusal(400, MALFORMED_CALL if CALL.fullmatch(path) else MALFORMED)


def _forwarded(scope: Scope) -> Scope:
    """Scope whose X-Forwarded-For is the visitor's address, and without headers about this one body: the MCP server
    calls the app with the headers it got.
    """
    others = [(name, value) for name, value in scope["headers"] if name not in NOT_FORWARDED]
    address = (scope.get("client") or [""])[0]
    return {**scope, "headers": [*others, (b"x-forwarded-for", address.encode())]}


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
