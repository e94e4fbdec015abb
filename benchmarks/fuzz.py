"""Fuzzing: malformed inputs for the image loader, the loader of recorded runs, every text field and the running app.

An input is reproduced by its seed, part and number: `--part traces --first 4711 --inputs 1`. An input that does not end
in a result or a one-sentence error, or takes longer than MAX_SECONDS, is a finding; so is a 5xx response of the app
other than the 503 of a full queue, and a traceback of our code in its log. Exits with 1 when there is a finding.

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
from crop_core.records.environment import versions

MAX_SECONDS = 10.0  # per input; the slowest valid ones take about one
SHARES = {"images": 0.5, "traces": 0.15, "texts": 0.25, "surface": 0.1}  # of --inputs
PACKAGES = ("gradio", "starlette", "pillow", "pydantic", "numpy")
MAX_RECORDED = 20  # findings that are recorded in full


class Hang(Exception):
    """An input exceeds the time limit."""


def main() -> int:
    """Run the parts, print and write the findings; returns the exit status."""
    options = arguments()
    began, parts = time.monotonic(), {}
    for name in options.part or SHARES:
        count = max(1, round(options.inputs * (1.0 if options.part else SHARES[name])))
        print(f"{name}: {count} inputs of seed {options.seed}", flush=True)
        parts[name] = run_part(name, options.seed, options.first, count)
        print(json.dumps(parts[name]), flush=True)
    result = {
        "command": " ".join(["python -m benchmarks.fuzz", *sys.argv[1:]]),
        "seed": options.seed,
        **versions(PACKAGES),
        "inputs": sum(each["inputs"] for each in parts.values()),
        "findings": sum(each["findings"] for each in parts.values()),
        "seconds": round(time.monotonic() - began, 1),
        "parts": parts,
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{result['inputs']} inputs, {result['findings']} findings, {result['seconds']} s -> {options.results}")
    return 1 if result["findings"] else 0


def arguments() -> Any:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--inputs", type=int, default=120_000, help="in all parts, or in the chosen one")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of a part")
    parser.add_argument("--part", action="append", choices=SHARES)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "fuzz.json")
    return parser.parse_args()


def run_part(name: str, seed: int, first: int, count: int) -> dict[str, Any]:
    """Run one part; returns its counts and findings."""
    began = time.monotonic()
    if name == "surface":
        with TemporaryDirectory() as folder, Surface(Path(folder)) as surface:
            findings, counts = surface.run(seed, first, count), surface.counts()
    else:
        findings, counts = run_inputs(name, fuzzer_of(name)().one, seed, first, count)
    return {
        "inputs": count,
        "findings": len(findings),
        "seconds": round(time.monotonic() - began, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **counts,
        "found": findings[:MAX_RECORDED],
    }


def fuzzer_of(name: str) -> Callable[[], Any]:
    """The fuzzer of a part that needs no server."""
    return {"images": Images, "traces": lambda: Traces(recorded_run()), "texts": Texts}[name]


def recorded_run() -> dict[str, Any]:
    """A real run of the bundled model, as in its file."""
    from crop_core.engine.engine import CropEngine
    from crop_core.io.data_url import data_url
    from crop_core.io.images import open_image

    image = open_image(ROOT / "assets" / "examples" / "01.jpg")
    result = CropEngine.from_pretrained().compare(image, "what is left of the dog?", memory=False)
    return {**result.to_json(), "pictures": [data_url(image, 64)]}


def run_inputs(
    name: str, one: Callable[[Random], str], seed: int, first: int, count: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run every input separately under the time limit; returns (findings, counts of the other outcomes)."""
    findings, slowest, outcomes = [], 0.0, Counter[str]()
    signal.signal(signal.SIGALRM, _on_alarm)
    for number in range(first, first + count):
        faulthandler.dump_traceback_later(6 * MAX_SECONDS, exit=True)  # in case a decoder never returns
        signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
        began = time.monotonic()
        try:
            outcomes[one(Random(f"{seed}/{name}/{number}"))] += 1
        except Exception:
            findings.append({"number": number, "error": traceback.format_exc(limit=-4)})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.monotonic() - began)
    faulthandler.cancel_dump_traceback_later()
    return findings, {"slowest_s": round(slowest, 2), **outcomes}


def _on_alarm(*_: Any) -> None:
    raise Hang(f"longer than {MAX_SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
