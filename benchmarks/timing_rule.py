"""How often the page names a difference in time that is none, and how often it misses one that is there.

Presses *Run*, with no pruning at all, which runs the baseline against itself, or with CROP at 64 tokens, and reads the
cards of measured costs as the page does. With --busy, other processes calculate beside it in bursts, as on a server
with more visitors or a laptop with a browser. Exits with 1 where more than --false presses have a headline, or fewer
than --true say that the first token is faster.

    python -m benchmarks.timing_rule [--presses 50] [--busy 2] [--false 2] [--out benchmarks/results/timing_busy.json]
    python -m benchmarks.timing_rule --method crop --budget 64 --presses 20 --true 18
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crop_core.engine.engine import CropEngine
from crop_core.io.images import open_image
from crop_core.records.config import Budget, CropConfig
from crop_core.records.environment import benchmark_environment
from crop_core.records.request import EngineRequest
from crop_core.records.results import Comparison, StreamEvent
from ui.views.examples import load_examples
from ui.views.readouts import measured_readouts

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"
BURST = 0.6  # seconds, at most, that a busy process calculates or rests


def press(engine: CropEngine, request: EngineRequest[StreamEvent]) -> Comparison:
    """What the page shows after one press of Run: the answers, then everything that is measured."""
    result: Comparison | None = None
    for event in (*engine.stream(request), *engine.stream(replace(request, kind="measure"))):
        assert isinstance(event, StreamEvent)  # noqa: S101  an engine by itself has no queue
        result = event.comparison or result
        if event.measured and result:
            result = result.measured(event.measured)
    assert result is not None  # noqa: S101  the last event of the first stream
    return result


def headlines(result: Comparison) -> dict[str, str]:
    """Coloured headlines of measured costs, by card."""
    return {each.key: each.change for each in measured_readouts(result) if each.tone != "same"}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that calculate in bursts."""
    processes = [multiprocessing.Process(target=_burn, args=(number,), daemon=True) for number in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _burn(seed: int) -> None:
    rng, values = random.Random(seed), np.random.default_rng(seed).random((300, 300))
    while True:
        end = time.monotonic() + rng.uniform(0, BURST)
        while time.monotonic() < end:
            values @ values
        time.sleep(rng.uniform(0, BURST))


def measure(engine: CropEngine, config: CropConfig, presses: int) -> list[dict[str, Any]]:
    """Headlines and times of so many presses, on one example after the other."""
    examples = load_examples(EXAMPLES)
    rows = []
    for number in range(presses):
        one = examples[number % len(examples)]
        result = press(engine, EngineRequest("stream", (open_image(one.image),), one.question, config))
        spreads = [answer.cost.ranges["ttft_s"] for answer in (result.baseline, result.crop)]
        rows.append({"headlines": headlines(result), "ttft_s": [vars(spread) for spread in spreads]})
        sys.stderr.write(f"{number + 1}: {' against '.join(map(str, spreads))} {rows[-1]['headlines'] or '-'}\n")
    return rows


def report(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """The result file."""
    arguments = (
        f"--method {options.method} --budget {options.budget:g} --presses {options.presses} --busy {options.busy}"
    )
    ratios = [baseline["median"] / crop["median"] for baseline, crop in (row["ttft_s"] for row in rows)]
    return {
        **benchmark_environment(f"python -m benchmarks.timing_rule {arguments}", "cpu", arguments=()),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "presses": len(rows),
        "with_headline": sum(bool(row["headlines"]) for row in rows),
        "first_token_faster": sum("faster" in row["headlines"].get("ttft", "") for row in rows),
        "ratio": {
            "median": round(statistics.median(ratios), 3),
            "low": round(min(ratios), 3),
            "high": round(max(ratios), 3),
        },
    }


def main() -> None:
    """Run the benchmark, print and write its report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.timing_rule",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", default="none", help="what is pressed; none is no pruning (the default)")
    parser.add_argument("--budget", type=float, default=64, help="tokens per layer (default: 64)")
    parser.add_argument("--presses", type=int, default=50, help="number of presses (default: 50)")
    parser.add_argument("--busy", type=int, default=0, help="processes that calculate beside it (default: 0)")
    parser.add_argument("--false", type=int, dest="most", help="headlines of no pruning at most")
    parser.add_argument("--true", type=int, dest="least", help="presses in which CROP is faster, at least")
    parser.add_argument("--out", type=Path, help="result file (default: print only)")
    options = parser.parse_args()
    config = CropConfig(method=options.method, budget=Budget(mean_tokens=options.budget))
    engine = CropEngine.from_pretrained()
    with busy(options.busy):
        result = report(measure(engine, config, options.presses), options)
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text)
    false = options.most is not None and result["with_headline"] > options.most
    missed = options.least is not None and result["first_token_faster"] < options.least
    sys.exit(int(false or missed))


if __name__ == "__main__":
    main()
