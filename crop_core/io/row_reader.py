"""Reader of row files: JSON in any layout of crop_core/io/json_rows.py, tables in text, and Parquet. Knows nothing of
the meaning of a row, but its values' names (crop_core/io/row_names.py).

The ending decides, and without a known one the first character. Invalid rows are skipped, counted and reported.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from crop_core.io.json_rows import json_rows
from crop_core.io.row_names import listed, our_name, with_our_names
from crop_core.io.tables import table_rows
from crop_core.io.text_files import WINDOWS, RowsError, check_format, encoding_of
from crop_core.records.formatting import counted

__all__ = ["JSON_ENDINGS", "PARQUET", "TABLE_ENDINGS", "RowsError", "Skipped", "usable"]

T = TypeVar("T")
JSON_ENDINGS = (".jsonl", ".json", ".ndjson")
TABLE_ENDINGS = (".csv", ".tsv", ".tab")
PARQUET = ".parquet"
_MAX_REASONS = 3  # reported of all


@dataclass
class Skipped:
    """Number of invalid rows or images, and the reasons of the first ones. notes: how the others were read."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, position: str, reason: Exception | str) -> None:
        """Count one more row or image."""
        self.count += 1
        if len(self.reasons) < _MAX_REASONS:
            self.reasons.append(f"{position}: {str(reason).rstrip('.')}")

    def note(self, text: str) -> None:
        """Add a note, each once."""
        if text not in self.notes:
            self.notes.append(text)

    def __str__(self) -> str:
        more = "; ..." if self.count > len(self.reasons) else ""
        return f"{self.count} skipped ({'; '.join(self.reasons)}{more})"

    def taken(self, questions: int, images: int, file: Path) -> str:
        """The sentence about what was read: "3 questions about 2 images from 'rows.csv' (columns ...)."."""
        about = f"{counted(questions, 'question')} about {counted(images, 'image')}"
        return f"{about} from '{file}'{self.how}."

    @property
    def how(self) -> str:
        """The notes in brackets, "" without any."""
        return f" ({'; '.join(self.notes)})" if self.notes else ""


def usable(
    file: Path, make: Callable[[str, Any], T], skipped: Skipped, also: Collection[str] | None = None
) -> Iterator[T]:
    """Results of `make` for every (position, row) of a file, such as ("line 3", {...}), with our names for its values;
    rows for which it raises ValueError are skipped. Values that have none, and are not among `also`, are noted as not
    read; also: None for rows with names of their own.

    Raises RowsError for a file that cannot be read.
    """
    unread: dict[str, None] = {}
    for position, row in _rows(file, skipped.note):
        try:
            if isinstance(row, RowsError):
                raise row
            unread |= {} if also is None else _unread(row, also)
            yield make(position, with_our_names(row) if isinstance(row, dict) else row)
        except ValueError as error:  # invalid row, question or image
            skipped.add(position, error)
    if unread:
        skipped.note(f"not read: {listed(unread)}")


def _unread(row: Any, also: Collection[str]) -> dict[str, None]:
    """The names of a row's values that are not read."""
    names = (str(name) for name in row) if isinstance(row, dict) else ()
    return dict.fromkeys(name for name in names if name.strip() and our_name(name) is None and name not in also)


def _rows(file: Path, note: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """(position, row), the row a RowsError where it alone cannot be read."""
    try:
        check_format(file)
        yield from _parquet_rows(file) if file.suffix.lower() == PARQUET else _text_rows(file, note)
    except RowsError as error:
        raise RowsError(f"'{file}' cannot be used: {error}.") from error
    except csv.Error as error:
        raise RowsError(f"'{file}' is no CSV ({error}); give a head line and one row a line.") from error
    except (ValueError, RecursionError) as error:
        raise RowsError(f"'{file}' is no JSON list ({error}); give such a list, or one JSON object a line.") from error
    except OSError as error:
        raise RowsError(f"The data '{file}' cannot be read: {error.strerror or error}.") from error


def _text_rows(file: Path, note: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    encoding = encoding_of(file)
    if encoding == WINDOWS:
        note("letters as in Windows-1252, since it is not UTF-8")
    with file.open(encoding=encoding, newline="") as lines:
        if _is_table(file, lines):
            yield from table_rows(lines, note)
            return
    with file.open(encoding=encoding) as lines:
        yield from json_rows(lines)


def _is_table(file: Path, lines: Any) -> bool:
    ending, first = file.suffix.lower(), next((line.lstrip() for line in lines if line.strip()), "")
    if ending in TABLE_ENDINGS:
        return not first.startswith(("{", "[{"))
    return bool(first) and ending not in JSON_ENDINGS and not first.startswith(("[", "{"))


def _parquet_rows(file: Path) -> Iterator[tuple[str, Any]]:
    if find_spec("pyarrow") is None:
        raise RowsError('it is a Parquet file, which pyarrow reads; run pip install "pyarrow>=17"')
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            rows = (row for batch in opened.iter_batches() for row in batch.to_pylist())
            yield from ((f"row {number}", row) for number, row in enumerate(rows, 1))
    except pa.ArrowException as error:
        raise RowsError(f"it is no Parquet file ({str(error).splitlines()[0].rstrip('.')})") from error
