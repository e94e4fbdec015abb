"""Output files of the command line: whether they can be written is checked before any work is done."""

from __future__ import annotations

import os
from pathlib import Path


def check_output(target: str | Path | None, what: str, endings: tuple[str, ...] = ()) -> None:
    """ValueError for a file that cannot be written, or has none of these endings; None means no output."""
    if target is None:
        return
    path = Path(target)
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"The {what} '{path}' has to end in {', '.join(endings)}; give such a name.")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"The {what} '{path}' cannot be written: give a file in a folder that exists.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise ValueError(f"The {what} '{path}' cannot be written: allow it, or give another file.")


def write_output(content: bytes, target: str | Path, what: str) -> None:
    """Write a file; ValueError where the system does not let it."""
    try:
        replace_file(Path(target), content)
    except OSError as error:
        raise ValueError(f"The {what} '{target}' cannot be written: {error.strerror or error}.") from error


def replace_file(file: Path, content: bytes) -> None:
    """Replace a file atomically, even if the process ends meanwhile; a device or a pipe is written to as it is."""
    if file.exists() and not file.is_file():
        file.write_bytes(content)
        return
    file = file.resolve()  # of a link
    new = file.with_name(f"{file.name}.writing")
    with new.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
