"""Hosting: from the settings to the engine's wrappers, the options of `launch()`, and the process's memory limits.

`launch()` with `app_kwargs`, not a mount under uvicorn: ZeroGPU starts by wrapping `launch`, and Gradio's login and its
MCP server stay as they are.
"""

from __future__ import annotations

import ctypes
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from crop_core.records.request import Engine
from ui.server.allowlist import RequestAllowlist
from ui.server.headers import SecurityHeaders
from ui.server.health import Metrics, health_routes
from ui.server.kept_results import KeepingEngine
from ui.server.loading_engine import LoadingEngine
from ui.server.login_limit import LoginLimit
from ui.server.login_page import LoginPage
from ui.server.monitoring import ActiveRequests, MonitoredEngine, RefusalMonitor, Reporter
from ui.server.queued_engine import PAUSE, QueuedEngine
from ui.server.rate_limit import RateError, RateLimit, RateLimitedEngine
from ui.server.request_log import Log, RequestLog
from ui.server.request_queue import QueueFullError, RequestQueue
from ui.server.settings import Settings
from ui.server.space import on_space

WEB_COMPONENT = Path(gradio.__file__).parent / "templates" / "frontend" / "gradio.js"
COMPRESSION = 5  # of 9, which makes the page smaller by less than 1 %, and takes half as long again
GRACE = 60  # seconds without progress beyond the time limit after which the model counts as stuck
THREADS = 40  # Gradio's default, beside one for each queued request
WRONG_LOGINS = 10  # a minute from one address
MALLOC_LIMITS = {  # of mallopt: number in malloc.h, bytes
    "MALLOC_MMAP_THRESHOLD_": (-3, 1_000_000),  # from which a block is mapped by itself, and unmapped when freed
    "MALLOC_TRIM_THRESHOLD_": (-1, 16_000_000),  # of free memory at a heap's end, from which it is given back
}


class Hosting:
    """Engine wrappers and launch options by the settings; ValueError for a setting whose package is missing."""

    def __init__(self, settings: Settings) -> None:
        if settings.mcp and find_spec("mcp") is None:
            raise ValueError("CROP_MCP needs a package that is missing; install it: pip install 'mcp>=1.21,<2'.")
        if settings.mcp:
            import_module("ui.server.mcp_server").install()
        self._settings, self._log = settings, Log(settings.log)
        self.active = ActiveRequests(settings.time_limit + GRACE)
        self._metrics = Metrics(self.active) if settings.metrics else None

    def wrap_engine(self, engine: Engine, width: int = 1, pause: float = PAUSE) -> Engine:
        """Engine with monitoring, a queue, a rate limit, and results that are kept for the next who asks the same.
        width: requests that it may run at once. pause: as `QueuedEngine`'s.
        """
        settings = self._settings
        log = RequestLog(self._log, settings.log_questions)
        reporters: list[Reporter] = [log, self._metrics] if self._metrics else [log]
        monitored = MonitoredEngine(engine, self.active, reporters)
        limited: Engine = QueuedEngine(monitored, RequestQueue(settings.max_queue, width), pause)
        if settings.rate:
            limited = RateLimitedEngine(limited, RateLimit(settings.rate))
        reported = RefusalMonitor(limited, (RateError, QueueFullError), reporters)
        return KeepingEngine(reported, settings.results_mb * 10**6)

    def launch_options(self, engine: LoadingEngine | None = None) -> dict[str, Any]:
        """Options of `launch()` besides the address: login, proxy path, middleware, further routes. engine: one that
        may not be loaded yet.
        """
        health = health_routes(self.active, lambda: engine is None or engine.is_loaded)
        routes = [*health, Route("/gradio.js", web_component)]
        if self._metrics:
            routes.append(Route("/metrics", self._metrics.page))
        settings = self._settings
        middleware = [
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=COMPRESSION),  # passes streams of events on
            Middleware(
                SecurityHeaders, on_space=on_space(), frames=settings.frame_ancestors, runs=settings.run_origins
            ),
            Middleware(RequestAllowlist, max_upload_mb=settings.max_upload_mb),
        ]
        if settings.logins:
            limit = Middleware(LoginLimit, wrong=RateLimit(WRONG_LOGINS, "wrong login"), log=self._log)
            middleware += [limit, Middleware(LoginPage)]
        return {
            "root_path": settings.root_path or "",
            "auth": settings.logins,
            "mcp_server": settings.mcp,
            "max_threads": settings.max_queue + THREADS,
            "app_kwargs": {"routes": routes, "middleware": middleware},
        }


def web_component(request: Request) -> FileResponse:
    """Gradio's module that defines the element <gradio-app>, which shows the app inside a page of any host."""
    return FileResponse(WEB_COMPONENT, media_type="text/javascript")


def limit_malloc() -> bool:
    """Return freed memory to the system; False where the C library is not glibc. What the environment sets stays.

    glibc by itself learns to keep freed blocks of up to 32 MB, for each thread apart: 50 visitors at a time left 600 MB
    in the process for good. With fixed limits (mallopt(3)) it is 30 MB, and answers take as long as before; with limits
    as low as glibc's first ones they took half as long again, since tensors' pages were made anew.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return all(mallopt(number, size) for name, (number, size) in MALLOC_LIMITS.items() if name not in os.environ)
