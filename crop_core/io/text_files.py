"""Text files as people's programs write them: the encoding, and files that are none though they hold a table.

UTF-8 and UTF-16 are recognized; what is neither is read as Windows-1252 (cp1252), which older Windows programs write.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path

WINDOWS = "cp1252"
_BLOCK = 2**20  # bytes
_FOREIGN = {  # how a file begins that is no text, or a text without rows
    b"PK\x03\x04": "a workbook (.xlsx, .ods, .numbers) or a ZIP archive; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook (.xls); save the sheet as CSV",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"SQLite format 3": "an SQLite database; export the table as CSV",
    b"ARROW1": "an Arrow file; save it as Parquet, CSV or JSON Lines",
    b"version https://git-lfs": "a Git LFS pointer, not the data; fetch the file itself with git lfs pull",
    b"{\\rtf": "a formatted text (.rtf); save it as plain text",
    b"<": "a web page or XML, not the data; download the file itself",
}


class RowsError(ValueError):
    """An unreadable file or row; of a row, the message goes on after its position."""


def check_format(file: Path) -> None:
    """RowsError that names the format of a file that is not read; OSError for one that cannot be."""
    with file.open("rb") as opened:
        start = opened.read(64).removeprefix(codecs.BOM_UTF8).lstrip()
    for signature, what in _FOREIGN.items():
        if start.startswith(signature):
            raise RowsError(f"it is {what}")


def encoding_of(file: Path) -> str:
    """The codec of a whole file: UTF-16 or UTF-8 by its first bytes, else Windows-1252; RowsError where none fits."""
    with file.open("rb") as opened:
        guess = json.detect_encoding(opened.read(4))
    guess = "utf-8-sig" if guess == "utf-8" else guess
    for codec in (guess, WINDOWS) if guess == "utf-8-sig" else (guess,):
        if _reads(file, codec):
            return codec
    raise RowsError("it is not a text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8")


def _reads(file: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with file.open("rb") as opened:
            while block := opened.read(_BLOCK):
                decoder.decode(block)
                if codec == WINDOWS and b"\0" in block:  # nearly every byte is a letter of it
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
