"""A Space after a push: wait until it runs, with its state told, and ask its app about an example."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from huggingface_hub import get_session
from huggingface_hub.utils import build_hf_headers

from crop_core.io.data_url import data_url
from crop_core.io.images import open_image
from crop_core.records.formatting import first_line, format_seconds
from crop_core.space.hub import UNREACHABLE, SpaceHub
from crop_core.space.spacefile import SpaceError

POLL, TELL_AGAIN = 5.0, 60.0  # seconds between two looks at a Space, and between two lines about the same state
GRACE = 60.0  # seconds in which the state before the push may still be told, and a new address may not answer yet
MAX_WAIT = 3600.0  # seconds
MAX_ANSWER = 300.0  # seconds of the first answer
MOVING = ("BUILDING", "RUNNING_BUILDING", "APP_STARTING", "RUNNING_APP_STARTING")
LOGS = {"BUILD_ERROR": "build", "CONFIG_ERROR": "build", "NO_APP_FILE": "build", "RUNTIME_ERROR": "container"}
LOG_LINES = 10
EXAMPLES = Path("assets/examples/examples.json")
STARTING = (404, 502, 503)  # of the hub's proxy before the app


def wait_until_running(hub: SpaceHub, commit: str) -> None:
    """Return when the Space runs this commit; SpaceError, after the last lines of its log, when it does not."""
    began = told = time.monotonic()
    last, moved = "", False
    while True:
        runtime = hub.read(hub.api.get_space_runtime, hub.repo)
        now, stage = time.monotonic(), str(getattr(runtime.stage, "value", runtime.stage))
        if stage != last or now - told > TELL_AGAIN:
            hub.say(f"{stage.lower().replace('_', ' ')}, {format_seconds(now - began)} after the push")
            last, told = stage, now
        moved = moved or stage in MOVING
        current = runtime.raw["sha"] == commit if "sha" in runtime.raw else moved
        if stage not in MOVING and (current or now - began > GRACE):
            break
        if now - began > MAX_WAIT:
            raise SpaceError(f"{hub.repo} is still {stage} after {MAX_WAIT / 60:.0f} minutes; look at {hub.address}.")
        time.sleep(POLL)
    if stage in LOGS:
        raise _failure(hub, stage, str(runtime.raw.get("errorMessage") or ""))
    if stage != "RUNNING":
        raise SpaceError(f"{hub.repo} is {stage}; start it at {hub.address}/settings.")


def ask_example(hub: SpaceHub, folder: Path) -> None:
    """Ask the app's /ask about the first example, and tell the answer; SpaceError where there is none."""
    info = hub.read(hub.api.space_info, hub.repo)
    host = info.host or f"https://{info.subdomain or hub.repo.replace('/', '-')}.hf.space"
    example = json.loads((folder / EXAMPLES).read_text(encoding="utf-8"))[0]
    image = data_url(open_image(folder / EXAMPLES.with_name(example["image"])))
    hub.say(f"asking {host} about {example['image']}: {example['question']}")
    began = time.monotonic()
    try:
        answer = _ask(host, [image, example["question"]], hub.api.token)
    except SpaceError:
        raise
    except (*UNREACHABLE, ValueError, LookupError) as error:  # no connection, or no answer of this app
        raise SpaceError(f"{hub.repo} runs, but {host} does not answer as this app ({first_line(error)}).") from error
    hub.say(f"answer: {answer} ({format_seconds(time.monotonic() - began)})")


def _failure(hub: SpaceHub, stage: str, reason: str) -> SpaceError:
    """Tell the last lines of the log; the error for a Space that does not start."""
    try:
        with hub.errors("fetch_space_logs"):
            events = list(hub.api.fetch_space_logs(hub.repo, build=LOGS[stage] == "build"))
        lines = [line for event in events for line in event.splitlines()][-LOG_LINES:]
    except SpaceError as error:  # the state is what matters
        lines = [str(error)]
    for line in lines:
        hub.say(f"  | {line}")
    why = f": {' '.join(reason.split())}" if reason else ""
    log = f"{hub.address}?logs={LOGS[stage]}"
    return SpaceError(f"{hub.repo} does not start ({stage}{why}); all of its log is at {log}.")


def _ask(host: str, data: list[Any], token: Any) -> str:
    """Answer of the app to an image and a question; SpaceError for a refusal."""
    headers, end = build_hf_headers(token=token), time.monotonic() + GRACE
    call = f"{host}/gradio_api/call/ask"
    while True:
        given = get_session().post(call, json={"data": data}, headers=headers, timeout=MAX_ANSWER)
        if given.status_code not in STARTING or time.monotonic() > end:
            break
        time.sleep(POLL)
    if given.status_code == 401:
        return "none, since the app asks for a login (CROP_LOGIN)"
    refusal = f"HTTP {given.status_code}"
    if given.status_code == 200:
        events = get_session().get(f"{call}/{given.json()['event_id']}", headers=headers, timeout=MAX_ANSWER).text
        *_, event, result = [line.partition(": ")[2] for line in events.splitlines() if line]
        if event == "complete":
            return str(json.loads(result)[0]["answer"])
        refusal = result
    raise SpaceError(f"{call} does not answer ({refusal}); see the log of the Space.")
