"""Login page of our own in the place of Gradio's, which is not styled and does not say that one has to wait; and a
login for what Gradio leaves open: connections without an end, and stopping the requests of a session.

Whether a visitor is logged in is asked of the app itself. Knows nothing of names, passwords and cookies.
"""

from __future__ import annotations

import re

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.allowlist import refusal
from ui.views.rendering import TEMPLATES
from ui.views.style_sheets import read

CHECK = "/gradio_api/login_check"  # answers 401 to visitors who are not logged in
OPEN = re.compile(r"/gradio_api/(heartbeat/.*|cancel/?|reset/?)")  # of Gradio, to visitors who are not
CLOSED = "Not logged in: open the app's page and log in."


class LoginPage:
    """Middleware: for a visitor who is not logged in the login page in the place of the page, and 401 for what Gradio
    leaves open.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._page = TEMPLATES.get_template("login_page.html").render(css=read("page.css"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        is_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in ("", "/")
        is_open = scope["type"] == "http" and OPEN.fullmatch(scope["path"])
        answer = self.app
        if (is_page or is_open) and await self._closed(scope):
            answer = HTMLResponse(self._page) if is_page else refusal(401, CLOSED)
        await answer(scope, receive, send)

    async def _closed(self, scope: Scope) -> bool:
        """Whether the app asks for a login, by its answer to a request with the same headers."""
        status = 0

        async def nothing() -> Message:
            return {"type": "http.request"}

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        check = {"method": "GET", "path": CHECK, "raw_path": CHECK.encode(), "query_string": b""}
        await self.app({**scope, **check}, nothing, noted)
        return status == 401
