"""Load test of the app: many concurrent API users, each with an image and a question of its own.

Starts app.py with the bundled models, sends every user's request alone as the reference, and then runs all users in a
loop with a pause after each answer. Every answer must equal the reference: the image's size, the question, the region,
both texts, and the tokens alive in each layer. Every other request must have been refused because the queue was full.
The server's memory is read every second. Writes a JSON file; exits with 1 if an answer was mixed up, a request was
lost, or memory grew.

    python -m benchmarks.load [--users 50] [--minutes 10] [--pause 5] [--out benchmarks/results/load.json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.app_process import app_process
from crop_core.records.environment import benchmark_environment

ANSWER_SECONDS = 300  # after which a request counts as lost
WARM_UP = 0.2  # share of the time in which memory may grow
MAX_GROWTH = 1.05  # maximum ratio of the last tenth's memory to the first tenth's after the warm-up
KINDS = {"compare": 6, "ask": 3, "localize": 1}  # weight of each endpoint
REFUSED = "The queue is full"  # in the error message of a full queue
SIDE = 240  # pixels of the first user's image
PACKAGES = ("torch", "transformers", "gradio", "gradio_client")
Ask = Callable[[str, str, str], dict[str, Any]]  # kind, image's path, question


@dataclass(frozen=True)
class User:
    """An image with a size that no other user has, and a question."""

    image: str
    size: tuple[int, int]
    question: str

    @classmethod
    def make(cls, number: int, folder: Path) -> User:
        """A scene of the bundled models' world."""
        from crop_core.train.world import splits
        from crop_core.train.world.questions import sample_questions
        from crop_core.train.world.scenes import make_scene

        scene = make_scene(splits.LOAD[number])
        (question,) = sample_questions(random.Random(number), scene, 1)
        size, path = (SIDE + number, SIDE), folder / f"{number}.png"
        scene.image.resize(size).save(path)
        return cls(str(path), size, question.text)


def essence(kind: str, answer: dict[str, Any]) -> list[Any]:
    """The part of an answer that identifies its request, without times."""
    if kind == "localize":
        return [answer["grid"], answer["width"], answer["height"]]
    if kind == "ask":
        return [answer["answer"], answer["region"]["grid"], answer["region"]["width"], answer["region"]["height"]]
    steps = [[step["layer"], step["kept"]] for step in answer["trace"]["steps"]]
    texts = [answer[run]["answer"] for run in ("baseline", "crop")]
    return [answer["question"], answer["image"], answer["region"]["grid"], texts, answer["tokens"], steps]


@dataclass
class Record:
    """Thread-safe outcomes of all requests by kind, and seconds of the answered ones."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, outcome: str, seconds: float, problem: str = "") -> None:
        """Record one request."""
        with self._lock:
            self.outcomes[kind, outcome] += 1
            self.seconds[kind if outcome == "answered" else outcome].append(seconds)
            if problem:
                self.problems.append(problem)

    def count(self, outcome: str) -> int:
        """Number of requests of any kind with this outcome."""
        return sum(count for (_, each), count in self.outcomes.items() if each == outcome)


def ask_once(ask: Ask, user: User, kind: str, expected: dict[str, list[Any]], record: Record) -> bool:
    """Send one request and record its outcome (answered, refused, mixed up, or lost); whether it got an answer."""
    began = time.monotonic()
    try:
        got = essence(kind, ask(kind, user.image, user.question))
    except Exception as error:  # whatever a client raises
        outcome = "refused" if REFUSED in str(error) else "lost"
        problem = "" if outcome == "refused" else f"{kind}: {type(error).__name__}: {error}"
        record.add(kind, outcome, time.monotonic() - began, problem)
        return False
    mixed = got != expected[kind]
    problem = f"{kind}: {got} instead of {expected[kind]}" if mixed else ""
    record.add(kind, "mixed up" if mixed else "answered", time.monotonic() - began, problem)
    return True


def simulate(ask: Ask, user: User, expected: dict[str, list[Any]], record: Record, end: float, pause: float) -> None:
    """Simulate one user until the end: send a request, pause, repeat; also after a refusal."""
    rng = random.Random(user.question)
    time.sleep(rng.uniform(0, pause))
    while time.monotonic() < end:
        ask_once(ask, user, rng.choices(list(KINDS), list(KINDS.values()))[0], expected, record)
        time.sleep(rng.expovariate(1 / pause))


def client_of(url: str) -> Ask:
    """A function that calls the app's API with gradio_client."""
    from gradio_client import Client, handle_file

    client = Client(url, verbose=False, analytics_enabled=False)

    def ask(kind: str, image: str, question: str) -> dict[str, Any]:
        settings = [] if kind == "localize" else ["crop", "", ""]
        job = client.submit(handle_file(image), question, *settings, api_name=f"/{kind}")
        answer: dict[str, Any] = job.result(ANSWER_SECONDS)
        return answer

    return ask


def resident(process: int) -> int:
    """Resident memory of a process in bytes (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) * 1024


def growth(readings: Sequence[int]) -> float:
    """The last tenth's median over that of the first tenth after the warm-up."""
    steady = readings[int(len(readings) * WARM_UP) :]
    tenth = max(1, len(steady) // 10)
    return statistics.median(steady[-tenth:]) / statistics.median(steady[:tenth])


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed."""
    return float(np.quantile(values, share, method="inverted_cdf"))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Count, median, 95th percentile and worst, in seconds."""
    figures = {"p50": quantile(values, 0.5), "p95": quantile(values, 0.95), "worst": max(values)}
    return {"count": len(values), **{name: round(value, 3) for name, value in figures.items()}}


def load(
    url: str, process: int, users: Sequence[User], minutes: float, pause: float
) -> tuple[Record, list[int], float]:
    """Run all users; returns the record, the server's memory in every second, and the duration in seconds."""
    asks = [client_of(url) for _ in users]
    references = [
        {kind: essence(kind, ask(kind, user.image, user.question)) for kind in KINDS}
        for ask, user in zip(asks, users, strict=True)
    ]
    record, began = Record(), time.monotonic()
    end = began + 60 * minutes
    threads = [
        threading.Thread(target=simulate, args=(ask, user, expected, record, end, pause), daemon=True)
        for ask, user, expected in zip(asks, users, references, strict=True)
    ]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < end:
        memory.append(resident(process))
        time.sleep(1)
    for thread in threads:
        thread.join(ANSWER_SECONDS)
    for thread in threads:
        if thread.is_alive():
            record.add("any", "lost", ANSWER_SECONDS, "A request was never answered.")
    return record, memory, time.monotonic() - began


def report(record: Record, memory: list[int], seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    """The result file."""
    answered = record.count("answered")
    times = {name: spread(values) for name, values in sorted(record.seconds.items())}
    every = [value for kind in KINDS for value in record.seconds[kind]]
    arguments = f"--users {options.users} --minutes {options.minutes:g} --pause {options.pause:g}"
    device = f"cpu, {os.cpu_count()} cores, shared with the users"
    return {
        **benchmark_environment(f"python -m benchmarks.load {arguments}", device, arguments=(), packages=PACKAGES),
        "load_average": round(os.getloadavg()[1], 2),
        "users": options.users,
        "minutes": options.minutes,
        "requests": sum(record.outcomes.values()),
        **{name.replace(" ", "_"): record.count(name) for name in ("answered", "refused", "mixed up", "lost")},
        "answered_per_s": round(answered / seconds, 3),
        "seconds": {"answered": spread(every), **times} if every else times,
        "memory": {
            "start_mb": round(memory[0] / 1e6, 1),
            "warm_mb": round(memory[int(len(memory) * WARM_UP)] / 1e6, 1),
            "end_mb": round(memory[-1] / 1e6, 1),
            "most_mb": round(max(memory) / 1e6, 1),
            "growth": round(growth(memory), 4),
        },
        "problems": record.problems[:20],
    }


def failed(result: dict[str, Any]) -> bool:
    """Whether the result violates a limit."""
    growth = result["memory"]["growth"]
    return bool(result["mixed_up"] or result["lost"] or not result["answered"] or growth > MAX_GROWTH)


def main() -> None:
    """Run the benchmark, write and print its report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=50, help="number of concurrent users (default: 50)")
    parser.add_argument("--minutes", type=float, default=10, help="duration (default: 10)")
    parser.add_argument("--pause", type=float, default=5, help="mean seconds between a user's requests (default: 5)")
    parser.add_argument("--out", type=Path, help="result file (default: print only)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, app_process() as (url, process):
        users = [User.make(number, Path(folder)) for number in range(options.users)]
        result = report(*load(url, process, users, options.minutes, options.pause), options)
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text)
    sys.exit(int(failed(result)))


if __name__ == "__main__":
    main()
