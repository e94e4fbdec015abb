"""What a host asks to know how the app is. /healthz: the process answers. /readyz: its model is not stuck either.

The app listens only once its models are loaded, so whoever gets an answer at all need not ask for that.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ui.server.monitoring import ActiveRequests


def health_routes(active: ActiveRequests) -> list[Route]:
    """Both pages; they are open where a login is asked for, and tell nothing of anybody's request."""

    def alive(request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    def ready(request: Request) -> JSONResponse:
        stuck = active.stuck
        return JSONResponse({"ready": not stuck, "under_way": active.busy}, 503 if stuck else 200)

    return [Route("/healthz", alive), Route("/readyz", ready)]
