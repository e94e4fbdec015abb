"""Load on the real app: many users at once, each with an image and a question of its own, as programs ask.

Starts app.py with the bundled models, asks every user's question alone, and then lets
all users ask again and again, with a pause after each answer. Every answer must be the one that was given alone: the
image's size, the question, the region, both texts, and how many tokens were alive in each layer. Every other request
must have been refused in the sentence of a full line. The server's memory is read every second. Writes a JSON file;
ends with 1 where an answer was mixed up, a request was lost, or memory grew.

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
from crop_core.measure.environment import benchmark_environment

ANSWER_SECONDS = 300  # after which a request counts as lost
WARM_UP = 0.2  # of the time, in which memory may grow
FLAT = 1.05  # the last tenth's memory, in parts of the first tenth's after the warm-up
KINDS = {"compare": 6, "ask": 3, "localize": 1}  # how often each is asked
REFUSED = "The queue is full"
SIDE = 240  # pixels of the first user's image
PACKAGES = ("torch", "transformers", "gradio", "gradio_client")
Ask = Callable[[str, str, str], dict[str, Any]]  # kind, image's path, question


@dataclass(frozen=True)
class User:
    """An image that no other user has, not even its size, and a question."""

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


def essence(kind: str, told: dict[str, Any]) -> list[Any]:
    """What of an answer tells whose it is, without times."""
    if kind == "localize":
        return [told["grid"], told["width"], told["height"]]
    if kind == "ask":
        return [told["answer"], told["region"]["grid"], told["region"]["width"], told["region"]["height"]]
    steps = [[step["layer"], step["kept"]] for step in told["trace"]["steps"]]
    texts = [told[run]["answer"] for run in ("baseline", "crop")]
    return [told["question"], told["image"], told["region"]["grid"], texts, told["tokens"], steps]


@dataclass
class Record:
    """What became of every request, from any thread: outcome by kind, and seconds of those that were answered."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, outcome: str, seconds: float, problem: str = "") -> None:
        """One request."""
        with self._lock:
            self.outcomes[kind, outcome] += 1
            self.seconds[kind if outcome == "answered" else outcome].append(seconds)
            if problem:
                self.problems.append(problem)

    def count(self, outcome: str) -> int:
        """Of all kinds."""
        return sum(count for (_, found), count in self.outcomes.items() if found == outcome)


def ask_once(ask: Ask, user: User, kind: str, expected: dict[str, list[Any]], record: Record) -> bool:
    """Whether it was answered; its outcome is answered, refused, mixed up, or lost."""
    began = time.monotonic()
    try:
        found = essence(kind, ask(kind, user.image, user.question))
    except Exception as error:  # whatever a client raises
        outcome = "refused" if REFUSED in str(error) else "lost"
        problem = "" if outcome == "refused" else f"{kind}: {type(error).__name__}: {error}"
        record.add(kind, outcome, time.monotonic() - began, problem)
        return False
    mixed = found != expected[kind]
    problem = f"{kind}: {found} in place of {expected[kind]}" if mixed else ""
    record.add(kind, "mixed up" if mixed else "answered", time.monotonic() - began, problem)
    return True


def live(ask: Ask, user: User, expected: dict[str, list[Any]], record: Record, end: float, pause: float) -> None:
    """One user until the end: asks, reads for a while, asks again; after a refusal as well."""
    rng = random.Random(user.question)
    time.sleep(rng.uniform(0, pause))
    while time.monotonic() < end:
        ask_once(ask, user, rng.choices(list(KINDS), list(KINDS.values()))[0], expected, record)
        time.sleep(rng.expovariate(1 / pause))


def client_of(url: str) -> Ask:
    """Asks as a Python program would."""
    from gradio_client import Client, handle_file

    client = Client(url, verbose=False, analytics_enabled=False)

    def ask(kind: str, image: str, question: str) -> dict[str, Any]:
        settings = [] if kind == "localize" else ["crop", "", ""]
        job = client.submit(handle_file(image), question, *settings, api_name=f"/{kind}")
        told: dict[str, Any] = job.result(ANSWER_SECONDS)
        return told

    return ask


def resident(process: int) -> int:
    """Bytes of memory that a process holds (Linux)."""
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
    """What became of all requests, the server's memory second by second, and the seconds that it took."""
    asks = [client_of(url) for _ in users]
    alone = [
        {kind: essence(kind, ask(kind, user.image, user.question)) for kind in KINDS}
        for ask, user in zip(asks, users, strict=True)
    ]
    record, began = Record(), time.monotonic()
    end = began + 60 * minutes
    threads = [
        threading.Thread(target=live, args=(ask, user, expected, record, end, pause), daemon=True)
        for ask, user, expected in zip(asks, users, alone, strict=True)
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
    """What is written."""
    answered = record.count("answered")
    times = {name: spread(values) for name, values in sorted(record.seconds.items())}
    every = [value for kind in KINDS for value in record.seconds[kind]]
    how = f"--users {options.users} --minutes {options.minutes:g} --pause {options.pause:g}"
    device = f"cpu, {os.cpu_count()} cores, shared with the users"
    return {
        **benchmark_environment(f"python -m benchmarks.load {how}", device, arguments=(), packages=PACKAGES),
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


def failed(told: dict[str, Any]) -> bool:
    """Whether it may not be so."""
    return bool(told["mixed_up"] or told["lost"] or not told["answered"] or told["memory"]["growth"] > FLAT)


def main() -> None:
    """Runs the benchmark, writes and prints its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50, help="how many at once (default: 50)")
    parser.add_argument("--minutes", type=float, default=10, help="for how long (default: 10)")
    parser.add_argument("--pause", type=float, default=5, help="mean seconds between two requests of one (default: 5)")
    parser.add_argument("--out", type=Path, help="file that is written (default: printed alone)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, app_process() as (url, process):
        users = [User.make(number, Path(folder)) for number in range(options.users)]
        told = report(*load(url, process, users, options.minutes, options.pause), options)
    text = json.dumps(told, indent=1) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text)
    sys.exit(int(failed(told)))


if __name__ == "__main__":
    main()
