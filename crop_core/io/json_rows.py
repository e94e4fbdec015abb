"""Rows of JSON: one object a line, a list, an object that holds the list, columns or an index as pandas writes them, or
objects one after another in any indentation.

Lines are streamed; everything else is parsed as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from crop_core.io.row_names import listed, our_name
from crop_core.io.text_files import RowsError

_OF_A_ROW = {"image", "images", "file_name", "question", "messages", "conversations", "boxes"}


def json_rows(lines: TextIO) -> Iterator[tuple[str, Any]]:
    """(position, value) of every row; a line that is no JSON is a RowsError. Raises ValueError or RecursionError where
    the whole is no JSON, RowsError where it holds no rows.
    """
    first = next((line for line in lines if line.strip()), "")
    lines.seek(0)
    if first.lstrip().startswith("["):
        yield from _numbered(json.load(lines))
    elif _is_row(_value(first)):
        yield from _one_a_line(lines)
    else:
        text = lines.read()
        rows = _all(text)
        yield from _one_a_line(text.splitlines(True)) if rows is None else _numbered(rows)


def _numbered(rows: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"row {number}", row) for number, row in enumerate(rows, 1))


def _one_a_line(lines: TextIO | list[str]) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"line {number}", _value(line)


def _value(line: str) -> Any:
    """The value of a line, a RowsError for one that is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return RowsError(f"{line.strip()[:60]!r} is no JSON ({error})")


def _all(text: str) -> list[Any] | None:
    """The rows of a text that is JSON as a whole; None where its lines are to be read one by one."""
    try:
        values = list(_values(text))
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or any(isinstance(_value(line), dict) for line in lines):
            return None
        raise
    return _rows_of(values[0]) if len(values) == 1 and isinstance(values[0], dict) else values


def _values(text: str) -> Iterator[Any]:
    """The JSON values that stand one after another."""
    decoder, at = json.JSONDecoder(), 0
    while rest := text[at:].lstrip():
        value, length = decoder.raw_decode(rest)
        at = len(text) - len(rest) + length
        yield value


def _is_row(value: Any) -> bool:
    """Whether a value is one row, and not an object of columns or rows."""
    if not isinstance(value, dict):
        return False
    names = {our_name(key): each for key, each in value.items()}
    return not _OF_A_ROW.isdisjoint(names) and not isinstance(names.get("question"), (list, dict))


def _rows_of(value: dict[str, Any]) -> list[Any]:
    """The rows that an object holds: a list of objects, columns, objects by their ids, or itself."""
    if _is_row(value):
        return [value]
    lists = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
    if len(lists) == 1:
        return lists[0]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return [dict(zip(value["columns"], row, strict=False)) for row in value["data"]]
    if value and all(isinstance(each, (list, dict)) for each in value.values()):
        columns = {our_name(key) for key in value}
        return _by_column(value) if "question" in columns else _by_id(value)
    raise RowsError(f"it is an object of {listed(value)}; give a list of rows")


def _by_column(columns: dict[str, Any]) -> list[dict[str, Any]]:
    cells = [list(each.values()) if isinstance(each, dict) else each for each in columns.values()]
    if len(set(map(len, cells))) != 1:
        raise RowsError(f"its columns {listed(columns)} are of different lengths; give a list of rows")
    return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]


def _by_id(rows: dict[str, Any]) -> list[Any]:
    return [{"id": key, **row} if isinstance(row, dict) else row for key, row in rows.items()]
