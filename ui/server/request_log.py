"""Log: a line for each request and each refused login, short for a person at a terminal, JSON for a server.

Never an image; the question only where the settings say so.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TextIO

from crop_core.records.formatting import format_number, format_seconds
from ui.server.monitoring import Report

SHORT, JSON = "short", "json"


@dataclass(frozen=True)
class Log:
    """style: SHORT or JSON; None chooses by whether it is a terminal. out: standard error when None."""

    style: str | None = None
    out: TextIO | None = None

    def write(self, fields: dict[str, Any], short: str) -> None:
        """Write one line: the fields after the time, or the local time and the short text."""
        out, now = self.out or sys.stderr, datetime.now(timezone.utc)
        if (self.style or (SHORT if out.isatty() else JSON)) == SHORT:
            line = f"{now.astimezone():%H:%M:%S} {''.join(c if c.isprintable() else '?' for c in short)}"
        else:
            line = json.dumps({"time": now.isoformat(timespec="milliseconds"), **fields})
        out.write(line + "\n")
        out.flush()


@dataclass(frozen=True)
class RequestLog:
    """Log of requests. questions: whether with the question."""

    log: Log
    questions: bool = False

    def __call__(self, report: Report) -> None:
        """Write the line of a finished request."""
        asked = {"question": report.question} if self.questions else {}
        self.log.write({**fields(report), **asked}, ", ".join([short(report), *map(repr, asked.values())]))


def fields(report: Report) -> dict[str, Any]:
    """Report as JSON: seconds to the tenth of a millisecond, tokens, sizes in pixels; without the question."""
    return {
        "request": report.id,
        "endpoint": report.endpoint,
        "outcome": report.outcome,
        "error": report.error,
        "seconds": round(report.seconds, 4),
        "pictures": [list(size) for size in report.sizes],
        "question_length": len(report.question),
        "method": report.method,
        "ways": report.ways,
        "visual_tokens": report.tokens,
        "mean_tokens": round(report.kept, 2),
        "stages": {run: {name: round(s, 4) for name, s in stages.items()} for run, stages in report.stages.items()},
    }


def short(report: Report) -> str:
    """Report as a phrase: "page answered in 0.84 s: 336x252, crop, 192 of 576 tokens"."""
    error = f" ({report.error})" if report.error else ""
    sizes = " ".join(f"{width}x{height}" for width, height in report.sizes)
    tokens = f"{format_number(report.kept)} of {report.tokens} tokens" if report.kept else ""
    details = ", ".join(filter(None, (sizes, report.method, tokens)))
    return f"{report.endpoint} {report.outcome}{error} in {format_seconds(report.seconds)}: {details}"
