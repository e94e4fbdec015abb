"""Hostile inputs by the ten thousand: the image loader, the loader of recorded runs, every text, and the running app.

Each input has a seed, a part and a number, by which it comes again: `--part traces --first 4711 --inputs 1`. One that
ends in anything but a result or a sentence, or takes longer than SECONDS, is a finding; so is an answer 5xx of the app,
but for the 503 of a full queue, and a traceback of ours in its log. Exits with 1 when there is one.

    python -m benchmarks.fuzz [--seed 20261126] [--inputs 120000] [--part images ...] [--results FILE]
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.app_process import ROOT
from benchmarks.fuzzing.images import Images
from benchmarks.fuzzing.surface import Surface
from benchmarks.fuzzing.texts import Texts
from benchmarks.fuzzing.traces import Traces
from crop_core.measure.environment import versions

SECONDS = 10.0  # for one input; the slowest sound ones take about one
SHARES = {"images": 0.5, "traces": 0.15, "texts": 0.25, "surface": 0.1}  # of --inputs
PACKAGES = ("gradio", "starlette", "pillow", "pydantic", "numpy")
KEPT = 20  # findings that are written down whole


class Hang(Exception):
    """An input takes too long."""


def main() -> int:
    """Run the parts, print and write what was found; the exit status."""
    options = arguments()
    began, told = time.monotonic(), {}
    for name in options.part or SHARES:
        count = max(1, round(options.inputs * (1.0 if options.part else SHARES[name])))
        print(f"{name}: {count} inputs of seed {options.seed}", flush=True)
        told[name] = part(name, options.seed, options.first, count)
        print(json.dumps(told[name]), flush=True)
    result = {
        "command": " ".join(["python -m benchmarks.fuzz", *sys.argv[1:]]),
        "seed": options.seed,
        **versions(PACKAGES),
        "inputs": sum(each["inputs"] for each in told.values()),
        "findings": sum(each["findings"] for each in told.values()),
        "seconds": round(time.monotonic() - began, 1),
        "parts": told,
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['inputs']} inputs, {result['findings']} findings, {result['seconds']} s -> {options.results}")
    return 1 if result["findings"] else 0


def arguments() -> Any:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--inputs", type=int, default=120_000, help="of all parts, or of the one chosen")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of a part")
    parser.add_argument("--part", action="append", choices=SHARES)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "fuzz.json")
    return parser.parse_args()


def part(name: str, seed: int, first: int, count: int) -> dict[str, Any]:
    """Counts and findings of one part."""
    began = time.monotonic()
    if name == "surface":
        with TemporaryDirectory() as folder, Surface(Path(folder)) as surface:
            found, more = surface.run(seed, first, count), surface.counts()
    else:
        found, more = each(name, maker(name)().one, seed, first, count)
    return {
        "inputs": count,
        "findings": len(found),
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **more,
        "found": found[:KEPT],
    }


def maker(name: str) -> Callable[[], Any]:
    """What makes and tries the inputs of a part that needs no server."""
    return {"images": Images, "traces": lambda: Traces(recorded()), "texts": Texts}[name]


def recorded() -> dict[str, Any]:
    """A real run of the bundled model, as its file holds it."""
    from crop_core.engine.engine import CropEngine
    from crop_core.io.data_url import data_url
    from crop_core.io.images import open_image

    image = open_image(ROOT / "assets" / "examples" / "01.jpg")
    result = CropEngine.from_pretrained().compare(image, "what is left of the dog?", memory=False)
    return {**result.to_json(), "pictures": [data_url(image, 64)]}


def each(
    name: str, one: Callable[[Random], str], seed: int, first: int, count: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every input by itself, under the time limit: (findings, what became of the others)."""
    found, slowest, ends = [], 0.0, Counter[str]()
    signal.signal(signal.SIGALRM, _late)
    for number in range(first, first + count):
        faulthandler.dump_traceback_later(6 * SECONDS, exit=True)  # where a decoder never comes back
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        began = time.monotonic()
        try:
            ends[one(Random(f"{seed}/{name}/{number}"))] += 1
        except Exception:
            found.append({"number": number, "error": traceback.format_exc(limit=-4)})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.monotonic() - began)
    faulthandler.cancel_dump_traceback_later()
    return found, {"slowest_s": round(slowest, 2), **ends}


def _late(*_: Any) -> None:
    raise Hang(f"longer than {SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
