"""A class before the app: everybody opens the page and presses Run within a minute, as a browser does.

Starts app.py with the bundled models, and sends what the page sends: an upload, the event of Run, and after the answers
the event that measures. Reported are the seconds from the press to both answers, what went wrong, and how many answers
a second came while anybody waited. Exits with 1 where somebody had no answer within --limit seconds.

    python -m benchmarks.class_load [--visitors 40] [--questions 10] [--within 60] [--limit 60] [--out FILE]
    python -m benchmarks.class_load --questions 40 --within 10 --limit 300     # every question different, at once
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from gradio_client.utils import apply_diff

from benchmarks.app_process import app_process
from benchmarks.load import PACKAGES, User, resident, spread
from crop_core.records.environment import benchmark_environment

PATIENCE = 600  # seconds without an event after which a visitor counts as lost
END = ("process_completed", "close_stream")


@dataclass
class Visit:
    """A visitor's press. pressed, answered: seconds since the start, None where no answer came; why: what was told."""

    pressed: float
    answered: float | None = None
    why: str = ""


class Page:
    """A tab of the page that sends what the browser's would."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE)
        self._session = uuid.uuid4().hex[:11]
        self._config = self._client.get("config").json()
        self._names = {each["id"]: each["props"].get("elem_id") for each in self._config["components"]}
        self._values = {each["id"]: each["props"].get("value") for each in self._config["components"]}

    def run(self, user: User) -> Iterator[dict[str, Any]]:
        """States of the explorer after Run, until both answers stand there; ValueError with what the page told."""
        with open(user.image, "rb") as file:
            path = self._client.post("gradio_api/upload", files={"files": file}).json()[0]
        upload = {"path": path, "orig_name": Path(path).name, "meta": {"_type": "gradio.FileData"}}
        given = {"image": upload, "question": user.question}
        for explorer, note, *_ in self._send(self._pressed, given):
            if isinstance(explorer, dict) and "data" in explorer:
                yield json.loads(explorer["data"])
            elif isinstance(note, str) and 'role="alert"' in note:
                raise ValueError(note)

    def measure(self) -> None:
        """Wait for what is measured afterwards."""
        for _ in self._send(self._measured, {}):
            pass

    @property
    def _pressed(self) -> dict[str, Any]:
        return next(each for each in self._events if self._targets(each) == ["run", "question"] and each["queue"])

    @property
    def _measured(self) -> dict[str, Any]:
        after, outputs = self._pressed["id"], [*self._pressed["outputs"][:2], self._pressed["outputs"][3]]
        return next(each for each in self._events if each["trigger_after"] == after and each["outputs"] == outputs)

    @property
    def _events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self._config["dependencies"]
        return events

    def _targets(self, event: dict[str, Any]) -> list[Any]:
        return [self._names.get(target[0]) for target in event["targets"]]

    def _send(self, event: dict[str, Any], given: dict[str, Any]) -> Iterator[list[Any]]:
        """Outputs of an event, as they come."""
        data = [given.get(self._names.get(each) or "", self._values.get(each)) for each in event["inputs"]]
        body = {"fn_index": event["id"], "data": data, "session_hash": self._session}
        joined = self._client.post("gradio_api/queue/join", json=body)
        joined.raise_for_status()
        with self._client.stream("GET", "gradio_api/queue/data", params={"session_hash": self._session}) as lines:
            outputs: list[Any] = []
            for message in (json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:")):
                if message["msg"] == "process_generating":  # the first one whole, then what changed
                    new = message["output"]["data"]
                    outputs = list(map(apply_diff, outputs, new)) if outputs else new
                    yield outputs
                if message["msg"] in END:
                    return


def visit(url: str, user: User, wait: float, start: float, visits: list[Visit]) -> None:
    """One visitor: open the page, wait for the own moment, press Run, read both answers, have them measured."""
    page = Page(url)
    time.sleep(max(0.0, start + wait - time.monotonic()))
    own = Visit(time.monotonic() - start)
    visits.append(own)
    try:
        for state in page.run(user):
            if own.answered is None and state["stage"] in ("measure", "done"):
                own.answered = time.monotonic() - start
        page.measure()
    except (ValueError, httpx.HTTPError) as error:
        own.why = f"{type(error).__name__}: {error}"[:300]


def lesson(url: str, users: Sequence[User], within: float, seed: int = 0) -> list[Visit]:
    """Every visitor's press, at random moments of so many seconds; the pages are opened before."""
    rng, visits = random.Random(seed), list[Visit]()
    start = time.monotonic() + 2 + 0.1 * len(users)
    threads = [
        threading.Thread(target=visit, args=(url, user, rng.uniform(0, within), start, visits), daemon=True)
        for user in users
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return visits


def report(visits: Sequence[Visit], memory: tuple[int, int], options: argparse.Namespace) -> dict[str, Any]:
    """The result file. memory: bytes of the server before and after."""
    waited = [each.answered - each.pressed for each in visits if each.answered is not None]
    last = max((each.answered for each in visits if each.answered is not None), default=0.0)
    arguments = f"--visitors {options.visitors} --questions {options.questions} --within {options.within:g}"
    device = f"cpu, {os.cpu_count()} cores, shared with the visitors"
    return {
        **benchmark_environment(
            f"python -m benchmarks.class_load {arguments}", device, arguments=(), packages=PACKAGES
        ),
        "load_average": round(os.getloadavg()[0], 2),
        "visitors": options.visitors,
        "questions": options.questions,
        "answered": len(waited),
        "within_limit": sum(seconds <= options.limit for seconds in waited),
        "limit_s": options.limit,
        "seconds": spread(waited) if waited else {},
        "answers_per_s": round(len(waited) / (last - min(each.pressed for each in visits)), 3) if waited else 0.0,
        "memory_mb": {"before": round(memory[0] / 1e6, 1), "after": round(memory[1] / 1e6, 1)},
        "problems": [each.why for each in visits if each.why][:20],
    }


def main() -> None:
    """Run the benchmark, print and write its report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.class_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--visitors", type=int, default=40, help="open pages (default: 40)")
    parser.add_argument("--questions", type=int, default=10, help="different images with a question (default: 10)")
    parser.add_argument("--within", type=float, default=60, help="seconds in which all press Run (default: 60)")
    parser.add_argument("--limit", type=float, default=60, help="seconds that an answer may take (default: 60)")
    parser.add_argument("--out", type=Path, help="result file (default: print only)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, app_process() as (url, process):
        asked = [User.make(number, Path(folder)) for number in range(options.questions)]
        users = [asked[number % len(asked)] for number in range(options.visitors)]
        before = resident(process)
        result = report(lesson(url, users, options.within), (before, resident(process)), options)
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text)
    sys.exit(int(result["within_limit"] < options.visitors))


if __name__ == "__main__":
    main()
