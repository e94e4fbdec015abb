"""Pages for the host: /healthz (the process answers), /readyz (its model is loaded and not stuck), /metrics
(Prometheus).

With the bundled model the app listens before it is loaded. /metrics needs the optional package prometheus-client.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui.server.monitoring import ActiveRequests, Report

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
STAGE_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)


def health_routes(active: ActiveRequests, is_loaded: Callable[[], bool] = lambda: True) -> list[Route]:
    """Routes of both; open without a login, and without details of any request."""

    def alive(request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    def ready(request: Request) -> JSONResponse:
        is_ready = is_loaded() and not active.stuck
        return JSONResponse({"ready": is_ready, "under_way": active.busy}, 200 if is_ready else 503)

    return [Route("/healthz", alive), Route("/readyz", ready)]


class Metrics:
    """Prometheus metrics of one app, in a registry of its own. Raises ValueError where prometheus-client is missing."""

    def __init__(self, active: ActiveRequests) -> None:
        if find_spec("prometheus_client") is None:
            raise ValueError("CROP_METRICS needs a package that is missing; install it: pip install prometheus-client.")
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter("crop_requests", "Finished requests", ["endpoint", "outcome"], **own)
        self._seconds = Histogram("crop_request_seconds", "Time of a request", ["endpoint"], buckets=SECONDS, **own)
        self._stages = Histogram(
            "crop_stage_seconds", "Time of a stage", ["run", "stage"], buckets=STAGE_SECONDS, **own
        )
        self._tokens = Counter("crop_visual_tokens", "Visual tokens of the images", **own)
        self._kept = Counter("crop_mean_tokens", "Of these, the mean per layer in pruned runs", **own)
        Gauge("crop_requests_under_way", "Requests under way", **own).set_function(lambda: active.busy)

    def __call__(self, report: Report) -> None:
        """Count a finished request."""
        self._requests.labels(report.endpoint, report.outcome).inc()
        self._seconds.labels(report.endpoint).observe(report.seconds)
        for run, stages in report.stages.items():
            for stage, seconds in stages.items():
                self._stages.labels(run, stage).observe(seconds)
        if report.stages:  # both counts, or neither: their ratio is the saving
            self._tokens.inc(report.tokens)
            self._kept.inc(report.kept)

    def page(self, request: Request) -> Response:
        """Metrics in Prometheus' text format."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
