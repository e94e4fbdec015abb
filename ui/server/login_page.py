"""Login page of our own in the place of Gradio's, which is not styled and does not say that one has to wait.

Whether a visitor is logged in is asked of the app itself. Knows nothing of names, passwords and cookies.
"""

from __future__ import annotations

from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.views.rendering import TEMPLATES
from ui.views.style_sheets import read

CHECK = "/gradio_api/login_check"  # answers 401 to visitors who are not logged in


class LoginPage:
    """Middleware: the login page for a visitor of the page who is not logged in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._page = TEMPLATES.get_template("login_page.html").render(css=read("page.css"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        is_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] in ("", "/")
        closed = is_page and await self._closed(scope)
        await (HTMLResponse(self._page) if closed else self.app)(scope, receive, send)

    async def _closed(self, scope: Scope) -> bool:
        """Whether the app asks for a login, by its answer to a request with the same headers."""
        status = 0

        async def nothing() -> Message:
            return {"type": "http.request"}

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)

        await self.app({**scope, "path": CHECK, "raw_path": CHECK.encode(), "query_string": b""}, nothing, noted)
        return status == 401
