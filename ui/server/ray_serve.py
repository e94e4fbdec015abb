"""Entry point of the app on Ray Serve, for several GPUs or machines: one page worker, several engine workers.

    python -m ui.server.ray_serve [--min-workers 1] [--max-workers 2] [--gpus 1]

joins the Ray cluster of this machine, or starts one, and serves at CROP_HOST and CROP_PORT. Settings are those of
`python app.py`, read where this starts. Needs the optional package ray[serve].

Source: https://docs.ray.io, `serve.ingress` with a function that builds the app inside the worker, since a page cannot
be pickled. There is one page worker, whose process holds the state of visitors.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crop_core.engine.engine import CropEngine
from crop_core.models import DEFAULT_MODEL
from crop_core.records.request import Engine
from ui.server.checking_engine import load_checking
from ui.server.ray_engine import ENGINE, ServedEngine, deployment
from ui.server.settings import Settings
from ui.server.startup import NO_PROXY, direct, settle

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
APP = "crop"


def page(settings: Settings, engine: Engine, width: int) -> Any:
    """The app as an ASGI application. width: requests that the engine may run at once."""
    os.environ.update(NO_PROXY)
    import gradio as gr
    from starlette.applications import Starlette

    from ui.page.layout import BACKLOG, build, launch_options
    from ui.server.hosting import Hosting, limit_malloc
    from ui.views.examples import load_examples

    limit_malloc()
    hosting = Hosting(settings)
    bundled = settings.model in (None, DEFAULT_MODEL)
    blocks = build(hosting.wrap_engine(engine, width), load_examples(EXAMPLES), bundled, **settings.page())
    options = launch_options(EXAMPLES, settings.max_upload_mb) | hosting.launch_options()
    around = options.pop("app_kwargs")
    blocks.max_threads = options.pop("max_threads") + width
    blocks.state_session_capacity = options.pop("state_session_capacity")
    blocks.queue(max_size=BACKLOG, default_concurrency_limit=4, api_open=False)  # which reads the threads
    options.pop("share")  # of `launch()` alone
    return gr.mount_gradio_app(Starlette(**around), blocks, path="", **options)


def application(settings: Settings, min_workers: int = 1, max_workers: int = 1, gpus: float = 0) -> Any:
    """Application for `serve.run`. Engine workers scale with the requests. gpus: of each."""
    from ray import serve

    def inside() -> Any:
        with ThreadPoolExecutor(1) as aside:  # a blocking call, which Ray forbids on this event loop
            engine = aside.submit(ServedEngine, serve.get_deployment_handle(ENGINE, APP)).result()
        return page(settings, engine, max_workers)

    loader = load_checking if settings.check else CropEngine.from_pretrained
    load = partial(loader, **settings.engine_options(), **settings.limits())
    engine = deployment(load, min_workers, max_workers, gpus)
    waiting = settings.max_queue + 1000  # pages and their files come on top of the queue
    return serve.deployment(name="Page", num_replicas=1, max_ongoing_requests=waiting)(
        serve.ingress(inside)(_Page)
    ).bind(engine)


class _Page:
    """Keeps the engine's deployment in the application."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--min-workers", "--least", type=int, default=1, help="minimum of engine workers (default: 1)")
    parser.add_argument("--max-workers", "--most", type=int, default=2, help="maximum of engine workers (default: 2)")
    parser.add_argument(
        "--gpus", type=float, default=0, help="GPUs of each engine worker, such as 1 or 0.5 (default: 0)"
    )
    options = parser.parse_args()
    if not 1 <= options.min_workers <= options.max_workers or options.gpus < 0:
        parser.error(
            "--min-workers and --max-workers are at least 1, the first is at most the second, and --gpus is not below 0"
        )
    if find_spec("ray") is None:
        sys.exit("CROP Explorer: Ray Serve is missing; install it: pip install 'ray[serve]>=2.50'.")
    try:
        settings = Settings.from_env()
        address = settle(settings)
        with direct():
            from ui.server.hosting import Hosting
        Hosting(settings)  # for its complaints, which a worker could not make in one sentence
        http = {"host": address.host, "port": address.free_port()}
    except ValueError as error:
        sys.exit(f"CROP Explorer: {error}")
    from ray import serve

    serve.start(http_options=http)
    serve.run(application(settings, options.min_workers, options.max_workers, options.gpus), name=APP, blocking=True)


if __name__ == "__main__":
    main()
