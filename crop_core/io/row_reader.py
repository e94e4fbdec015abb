"""Files of rows: JSON Lines, one JSON list, or CSV with a head line. Knows nothing of what a row means.

Lines are read one by one, so that hundreds of thousands fit; a JSON list is parsed as a whole. A row that cannot be
used is skipped, counted and told.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

Made = TypeVar("Made")
_TOLD = 3  # reasons that are told of all


class RowsError(ValueError):
    """A file that holds no rows, or a row that is none; the message is one sentence."""


@dataclass
class Skipped:
    """How many rows or images could not be used, and why the first ones could not."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, where: str, why: Exception | str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.reasons) < _TOLD:
            self.reasons.append(f"{where}: {str(why).rstrip('.')}")

    def __str__(self) -> str:
        more = "; ..." if self.count > len(self.reasons) else ""
        return f"{self.count} skipped ({'; '.join(self.reasons)}{more})"


def usable(file: Path, make: Callable[[str, Any], Made], skipped: Skipped) -> Iterator[Made]:
    """What `make` makes of every (place, row) of a file, such as ("line 3", {...}); rows for which it raises ValueError
    are skipped.

    Raises RowsError for a file that cannot be read.
    """
    for where, row in _rows(file):
        try:
            yield make(where, _json(row) if isinstance(row, str) else row)
        except ValueError as error:  # what is wrong with a row, its question or its image
            skipped.add(where, error)


def _rows(file: Path) -> Iterator[tuple[str, Any]]:
    """(place, text of a row), or (place, row) of a CSV file and of one that is one JSON list."""
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
