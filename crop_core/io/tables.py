"""Rows of a table in text (CSV, TSV and the like). The head line decides the separator, the quotes and the spaces.

Not by csv.Sniffer, which guesses from the frequency of letters and takes a question's for separators.
"""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TextIO

from crop_core.io.row_names import NEEDED, lacking, listed, our_name
from crop_core.io.text_files import RowsError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_STATED = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # Excel's first line
_ESCAPED = re.compile(r'\\"[^"\s,;|]')  # a quote within a text, as MySQL writes it
_ARRAY = re.compile(r"""['"]\s+['"]""")  # as numpy writes one, of which Python would join the texts
_SAMPLE = 2**16  # characters
_MAX_CELL = 2**30  # characters; an image in base64 has millions
_END = "\x1e"  # a line after the last, which an open quote would swallow


def table_rows(lines: TextIO, note: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
    """(position, row by head) of a file opened with newline=""; a row with too many cells, or a quote that never
    closes, is a RowsError.

    note: is told what was read. Rows without any text are passed over. Raises RowsError that names the columns where
    none of them holds images or questions.
    """
    dialect, start = _dialect(lines)
    table = _cells(lines, start, dialect)
    head = _head(table)
    while head and not head[-1].strip():  # of separators at the end of the line
        head.pop()
    if not head:
        return
    if missing := lacking(head):
        raise RowsError(
            f"the columns are {listed(head)}, and none of them is {' or '.join(missing)}; name them in the first line, "
            f"such as {', '.join((*NEEDED, 'answer'))}"
        )
    note(f"columns {listed(head)} between {SEPARATORS.get(dialect['delimiter'], repr(dialect['delimiter']))}")
    for number, cells in enumerate(table, 1):
        if isinstance(cells, RowsError) or any(map(str.strip, cells)):
            yield f"row {number}", cells if isinstance(cells, RowsError) else _row(head, cells)


def value_in(text: str) -> Any:
    """The value of a cell that holds one in JSON, or as Python writes it (pandas does so); else the text."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return text if parse is ast.literal_eval and _ARRAY.search(text) else parse(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _dialect(lines: TextIO) -> tuple[dict[str, Any], int]:
    """Arguments of csv.reader, and the number of characters before the head."""
    lines.seek(0)
    sample = lines.read(_SAMPLE)
    stated = _STATED.match(sample)
    start = stated.end() if stated else 0
    head = sample[start:].lstrip("\r\n")
    base: dict[str, Any] = {"delimiter": stated[1]} if stated else {}
    if head.startswith("'"):
        base["quotechar"] = "'"
    if _ESCAPED.search(head):
        base |= {"escapechar": "\\", "doublequote": False}
    dialects = [base] if stated else [{**base, "delimiter": each} for each in SEPARATORS]
    heads = [_head(_cells(lines, start, each)) for each in dialects]
    found, best = max(zip(heads, dialects, strict=True), key=lambda pair: _fit(pair[0]))
    return {**best, "skipinitialspace": any(cell.startswith(" ") for cell in found[1:])}, start


def _head(table: Iterator[list[str] | RowsError]) -> list[str]:
    head = next(table, [])
    return [] if isinstance(head, RowsError) else head


def _fit(head: list[str]) -> tuple[int, int]:
    """How well a separator divides the head: columns that are known, then columns."""
    return len({our_name(each) for each in head} - {None}), len(head)


def _cells(lines: TextIO, start: int, dialect: dict[str, Any]) -> Iterator[list[str] | RowsError]:
    """The rows that are not blank, as lists of cells."""
    lines.seek(0)
    lines.read(start)
    csv.field_size_limit(_MAX_CELL)  # of the whole process
    spaced = dialect.get("skipinitialspace", False)
    for cells in csv.reader(chain(lines, [_END]), **dialect):
        if cells and cells[-1].endswith(_END):
            if cells != [_END]:
                yield RowsError(
                    "a quote opens in it and never closes; close it, or double it where it is part of a text"
                )
        elif cells:
            yield [cell.strip() for cell in cells] if spaced else cells


def _row(head: list[str], cells: list[str]) -> dict[str, str | None] | RowsError:
    extra = [cell for cell in cells[len(head) :] if cell.strip()]
    if extra:
        return RowsError(
            f"it has {len(cells)} cells and the head {len(head)}; put texts that hold the separator in double quotes"
        )
    row: dict[str, str | None] = dict.fromkeys(head)
    for name, cell in zip(head, cells, strict=False):
        before = row[name]
        if our_name(name) and before and cell and before != cell:
            return RowsError(f"the column '{name}' is there twice, with {before[:40]!r} and {cell[:40]!r}")
        row[name] = cell if cell or not before else before
    return row
