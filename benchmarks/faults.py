"""Fault injection: several users call the app's engine on Ray Serve while replicas are killed.

    python -m benchmarks.faults [--users 8] [--seconds 90] [--kills 3] [--results benchmarks/results/faults.json]

Runs on a local cluster with two replicas of the bundled models. Every answer must be about its own image and
question; every other request must fail with one sentence. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.app_process import ROOT
from crop_core.records.environment import versions

LOST_WORKER = "The worker of this request was lost"  # how the error message begins
REPLICAS = 2


def load() -> Any:
    """The engine of a replica; one thread, since replicas share this machine."""
    import torch

    from crop_core.engine.engine import CropEngine

    torch.set_num_threads(1)
    return CropEngine.from_pretrained()


def main() -> int:
    """Send requests, kill replicas, count, write; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "faults.json")
    options = parser.parse_args()
    result = {
        "command": " ".join(["python -m benchmarks.faults", *sys.argv[1:]]),
        "device": f"cpu, {os.cpu_count()} cores, {REPLICAS} replicas of one thread",
        **versions(("ray", "torch", "transformers")),
        **measure(options.users, options.seconds, options.kills),
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(f"{json.dumps(result)}\n")
    return 1 if result["mixed_up"] or result["lost"] else 0


def measure(users: int, seconds: int, kills: int) -> dict[str, Any]:
    """Counts, times of answers, and seconds until a killed replica was replaced."""
    import ray
    from ray import serve

    from ui.server.ray_engine import ServedEngine, deployment

    os.environ.update(RAY_USAGE_STATS_ENABLED="0", PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    ray.init("local", num_cpus=REPLICAS + 1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        serve.start(proxy_location="Disabled")  # only called from here
        engine = ServedEngine(serve.run(deployment(load, REPLICAS, REPLICAS), name="crop", route_prefix=None))
        return send_requests(engine, users, seconds, lambda: [kill_replica() for _ in kill_times(seconds, kills)])
    finally:
        serve.shutdown()
        ray.shutdown()


def send_requests(engine: Any, users: int, seconds: int, meanwhile: Callable[[], list[float]]) -> dict[str, Any]:
    """Every user sends requests in a loop, about an image of its own size."""
    from PIL import Image

    from crop_core.records.config import Budget, CropConfig
    from crop_core.records.request import EngineRequest

    config, end = CropConfig(budget=Budget(mean_tokens=64), repeats=1), time.monotonic() + seconds
    outcomes: list[tuple[str, float]] = []

    def ask(number: int) -> None:
        image = Image.effect_noise((200 + number, 160), 90).convert("RGB")
        while time.monotonic() < end:
            began, question = time.monotonic(), f"what is {number}?"
            try:
                result = engine.call(EngineRequest("compare", (image,), question, config))
                own = result.question == question and result.crop.trace.image_size == image.size
                outcome = "answered" if own else "mixed_up"
            except ValueError as error:
                outcome = "told" if str(error).startswith(LOST_WORKER) else "lost"
            except Exception:
                outcome = "lost"
            outcomes.append((outcome, time.monotonic() - began))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    replaced = meanwhile()
    for thread in threads:
        thread.join()
    times = [took for outcome, took in outcomes if outcome == "answered"]
    counts = {
        name: sum(outcome == name for outcome, _ in outcomes) for name in ("answered", "told", "mixed_up", "lost")
    }
    return {
        "users": users,
        "seconds": seconds,
        "killed": len(replaced),
        "replaced_after_s": [round(each, 1) for each in replaced],
        "requests": len(outcomes),
        **counts,
        "p50_s": round(statistics.median(times), 2),
        "p95_s": round(float(np.quantile(times, 0.95, method="lower")), 2),
    }


def kill_times(seconds: int, kills: int) -> Any:
    """Wait for the time of each kill, evenly spaced."""
    for _ in range(kills):
        time.sleep(seconds / (kills + 1))
        yield None


def kill_replica() -> float:
    """Kill a replica; returns the seconds until it is replaced."""
    before = replicas()
    os.kill(before[0], signal.SIGKILL)
    began = time.monotonic()
    while len(set(replicas()) - {before[0]}) < REPLICAS and time.monotonic() - began < 60:
        time.sleep(0.1)
    return time.monotonic() - began


def replicas() -> list[int]:
    """Process ids of the live engine replicas."""
    import psutil

    pids = []
    for each in psutil.Process().children(recursive=True):
        try:
            pids += [each.pid] if "ServeReplica:crop:Engine" in " ".join(each.cmdline()) else []
        except psutil.Error:  # it has just ended
            continue
    return pids


if __name__ == "__main__":
    sys.exit(main())
