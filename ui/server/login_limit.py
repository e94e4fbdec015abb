"""Failed logins: logged, and limited for each address (of IPv6 each /64). Knows nothing of names and passwords.

The address is the one that the proxies of FORWARDED_ALLOW_IPS tell (uvicorn), as for the rate limit of questions.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.server.allowlist import refusal
from ui.server.rate_limit import RateError, RateLimit, network
from ui.server.request_log import Log


class LoginLimit:
    """Middleware: 429 with the time to wait for a login from an address from which too many failed.

    wrong: counts the failed ones.
    """

    def __init__(self, app: ASGIApp, wrong: RateLimit, log: Log) -> None:
        self.app, self._wrong, self._log = app, wrong, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a login on. It counts as failed until it succeeds, so that many at once are not more than one by one."""
        if scope["type"] != "http" or (scope["method"], scope["path"].rstrip("/")) != ("POST", "/login"):
            await self.app(scope, receive, send)
            return
        who = network((scope.get("client") or [""])[0])

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._wrong.give_back(who)
            elif message["type"] == "http.response.start":
                self._noted("failed", who)
            await send(message)

        try:
            self._wrong.take(who)
        except RateError as error:
            self._noted("refused", who)
            await refusal(429, str(error), {"Retry-After": str(error.wait)})(scope, receive, send)
        else:
            await self.app(scope, receive, noted)

    def _noted(self, outcome: str, address: str) -> None:
        self._log.write({"endpoint": "login", "outcome": outcome, "address": address}, f"login {outcome}: {address}")
