"""Security headers on every response.

As strict as Gradio 6 allows: its page has inline scripts and styles, and evaluates the JavaScript of components (such
as our explorer), so 'unsafe-inline' and 'unsafe-eval' have to stay. Nothing is loaded from, or sent to, another host,
except the hub on a Space, whose page shows its owner and polls its state, and the hosts of runs that ?run= may open.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self' https://huggingface.co",  # a Space is shown inside a page of the hub
}
HUB = " https://huggingface.co https://*.huggingface.co"


def headers(on_space: bool = False, frames: Sequence[str] = (), runs: Sequence[str] = ()) -> dict[str, str]:
    """Name -> value of each header. frames: origins of further pages that may show the app in a frame. runs: origins
    from which the page may fetch.
    """
    more = {name: POLICY[name] + HUB for name in ("img-src", "connect-src")} if on_space else {}
    more["connect-src"] = " ".join([more.get("connect-src", POLICY["connect-src"]), *runs])
    more["frame-ancestors"] = " ".join([POLICY["frame-ancestors"], *frames])
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in {**POLICY, **more}.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",  # the webcam input
    }


class SecurityHeaders:
    """Middleware that sets `headers`, and changes nothing else; a stream stays one."""

    def __init__(
        self, app: ASGIApp, on_space: bool = False, frames: Sequence[str] = (), runs: Sequence[str] = ()
    ) -> None:
        self.app, self._headers = app, headers(on_space, frames, runs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the headers put into the response's first message."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
