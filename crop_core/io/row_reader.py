"""Reader of row files: JSON Lines, one JSON list, or CSV with a header. Knows nothing of the meaning of a row.

Lines are streamed; a JSON list is parsed as a whole. Invalid rows are skipped, counted and reported.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_MAX_REASONS = 3  # reported of all


class RowsError(ValueError):
    """An unreadable file or row; the message is one sentence."""


@dataclass
class Skipped:
    """Number of invalid rows or images, and the reasons of the first ones."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, position: str, reason: Exception | str) -> None:
        """Count one more row or image."""
        self.count += 1
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(f"{position}: {str(reason).rstrip('.')}")

    def __str__(self) -> str:
        more = "; ..." if self.count > len(self.reasons) else ""
        return f"{self.count} skipped ({'; '.join(self.reasons)}{more})"


def usable(file: Path, make: Callable[[str, Any], T], skipped: Skipped) -> Iterator[T]:
    """Results of `make` for every (position, row) of a file, such as ("line 3", {...}); rows for which it raises
    ValueError are skipped.

    Raises RowsError for a file that cannot be read.
    """
    for position, row in _rows(file):
        try:
            yield make(position, _json(row) if isinstance(row, str) else row)
        except ValueError as error:  # invalid row, question or image
            skipped.add(position, error)


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """(position, text of a row), or (position, row) for CSV files and JSON lists."""
    try:
        with file.open(encoding="utf-8-sig", newline="" if _is_csv(file) else None) as lines:
            if _is_csv(file):
                yield from ((f"row {number}", row) for number, row in enumerate(csv.DictReader(lines), 1))
                return
            first = lines.read(1)
            lines.seek(0)
            if first == "[":
                yield from ((f"row {number}", row) for number, row in enumerate(json.load(lines), 1))
            else:
                yield from ((f"line {number}", line) for number, line in enumerate(lines, 1) if line.strip())
    except UnicodeDecodeError as error:
        raise RowsError(f"'{file}' is not a text in UTF-8; give one JSON object a line.") from error
    except csv.Error as error:
        raise RowsError(f"'{file}' is no CSV ({error}); give a head line and one row a line.") from error
    except (ValueError, RecursionError) as error:
        raise RowsError(f"'{file}' is no JSON list ({error}); give such a list, or one JSON object a line.") from error
    except OSError as error:
        raise RowsError(f"The data '{file}' cannot be read: {error.strerror or error}.") from error


def _is_csv(file: Path) -> bool:
    return file.suffix.lower() == ".csv"


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowsError(f"{line.strip()[:60]!r} is no JSON ({error})") from error
