"""The log of requests: one JSON object a line on standard error. No image, and no question unless that is wanted."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TextIO

from ui.server.monitoring import Report


@dataclass(frozen=True)
class RequestLog:
    """questions: whether each line holds the question. out: standard error of the moment when None."""

    questions: bool = False
    out: TextIO | None = None

    def __call__(self, report: Report) -> None:
        """Write the line of a finished request, in one go."""
        out = self.out or sys.stderr
        out.write(json.dumps(self.line(report)) + "\n")
        out.flush()

    def line(self, report: Report) -> dict[str, Any]:
        """What the line says: seconds to the tenth of a millisecond, tokens, sizes in pixels."""
        told = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
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
        return {**told, "question": report.question} if self.questions else told
