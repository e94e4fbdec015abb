"""The running app, asked for everything by everybody: wrong paths, bodies and methods, from several threads."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx

from benchmarks.app_process import ROOT, app_process
from benchmarks.fuzzing import HERE
from benchmarks.fuzzing.requests import request

SECONDS = 20.0  # for one answer; a question in front of it in the queue takes about one
THREADS = 4
QUESTION = "which thing is between the car and the blue sign?"
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t+|].*\n|\n)*\S.*")
FULL = 503
PASSING = ("ui/server/", "app.py", ".venv/")


class Surface:
    """An app of its own in an empty folder; its log is looked at in the end."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log.txt"
        settings = {"GRADIO_TEMP_DIR": str(folder / "files"), "HF_HUB_OFFLINE": "1", "CROP_MAX_UPLOAD_MB": "2"}
        self._app = app_process(self._log, folder, **settings)
        self._statuses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Surface:
        self.address, _ = self._app.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._app.__exit__(*error)

    def run(self, seed: int, first: int, count: int) -> list[dict[str, Any]]:
        """Findings: answers that must not be, tracebacks, and an app that no longer answers a sound question."""
        found: list[dict[str, Any]] = []
        threads = [
            threading.Thread(target=self._some, args=(seed, range(first + k, first + count, THREADS), found))
            for k in range(THREADS)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return self._health() + self._tracebacks() + found

    def _some(self, seed: int, numbers: range, found: list[dict[str, Any]]) -> None:
        with httpx.Client(base_url=self.address, timeout=SECONDS) as client:
            for number in numbers:
                rng = Random(f"{seed}/surface/{number}")
                said = self._one(client, rng)
                if said:
                    with self._lock:
                        found.append({"number": number, "error": said})

    def _one(self, client: httpx.Client, rng: Random) -> str:
        """What is wrong with the answer to one request, if anything."""
        asked = request(rng)
        called = f"{asked['method']} {asked['url'][:120]}"
        began = time.monotonic()
        try:
            answer, text = _answer(client, asked)
        except (httpx.InvalidURL, httpx.LocalProtocolError):
            return ""  # was never sent
        except httpx.TimeoutException:
            return f"{called}: no answer"
        except httpx.HTTPError as error:
            return f"{called}: {error!r}"
        with self._lock:
            self._statuses[str(answer.status_code)] += 1
        if answer.status_code >= 500 and answer.status_code != FULL:
            return f"{called}: {answer.status_code} {text[:200]}"
        if answer.status_code >= 400 and any(place in text for place in HERE):
            return f"{called}: tells a path: {text[:300]}"
        return f"{called}: took {time.monotonic() - began:.0f} s" if time.monotonic() - began > SECONDS else ""

    def _tracebacks(self) -> list[dict[str, Any]]:
        """Those in the log that come through our handlers or engine; Gradio's own are counted by their class."""
        log = self._log.read_text(encoding="utf-8", errors="replace")
        every = TRACEBACK.findall(log)
        classes = Counter(each.rpartition("\n")[2].partition(":")[0][:60] for each in every)
        self._logged = {"tracebacks_of_gradio": dict(classes), "log_kb": len(log) // 1024}
        ours = [each for each in every if self._ours(each)]
        return [{"number": -1, "error": each[-2500:]} for each in ours]

    def _ours(self, traceback: str) -> bool:
        """Whether a handler or the engine is on the way; the gate is on every way."""
        files = re.findall(rf'File "{re.escape(str(ROOT))}/([^"]+)"', traceback)
        return any(not file.startswith(PASSING) for file in files)

    def _health(self) -> list[dict[str, Any]]:
        """Whether a sound question is still answered."""
        image = (ROOT / "assets" / "examples" / "01.jpg").read_bytes()
        with httpx.Client(base_url=self.address, timeout=120) as client:
            sent = client.post("gradio_api/upload", files={"files": ("a.jpg", image, "image/jpeg")}).json()
            data = [{"path": sent[0], "meta": {"_type": "gradio.FileData"}}, QUESTION, "crop", "64", ""]
            for _ in range(60):
                asked = client.post("gradio_api/call/ask", json={"data": data})
                if asked.status_code != FULL:
                    break
                time.sleep(1)  # what was asked before is answered first
            event = asked.json().get("event_id", asked.text)
            told = client.get(f"gradio_api/call/ask/{event}").text
        if "event: complete" in told and '"answer"' in told:
            return []
        return [{"number": -1, "error": f"a sound question is no longer answered: {told[:300]}"}]

    def counts(self) -> dict[str, Any]:
        """Answers by status, and what was logged."""
        return {"statuses": dict(sorted(self._statuses.items())), **self._logged}


def _answer(client: httpx.Client, asked: dict[str, Any]) -> tuple[httpx.Response, str]:
    """The answer and its text; once more where the connection was closed after an earlier answer."""
    for last in (False, True):
        try:
            with client.stream(**asked) as answer:
                endless = "heartbeat" in str(answer.url) and answer.status_code == 200
                text = next(answer.iter_text(), "") if endless else answer.read().decode("utf-8", "replace")
                return answer, text
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if last:
                raise
    raise AssertionError
