"""Files as people's machines leave them: folders without a Mac's and Windows' own files, and images by the names that
rows give them: with backslashes, percent signs, other capitals or other accents than the file has.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from crop_core.io.images import ImageError

_SYSTEM = {"__macosx", "thumbs.db", "desktop.ini"}
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_FILE = re.compile(r"^file:(//(localhost)?)?(?=/)", re.IGNORECASE)


def visible(folder: Path, pattern: str = "*") -> list[Path]:
    """The entries of a folder that match, sorted, without those of the system or an editor, such as "._a.jpg",
    "Thumbs.db" or "~$rows.xlsx", and what lies in "__MACOSX".
    """
    found = sorted(folder.glob(pattern))
    return [each for each in found if not any(map(_is_system, each.relative_to(folder).parts))]


def _is_system(name: str) -> bool:
    return name.startswith((".", "~$")) or name.casefold() in _SYSTEM


def find_image(folder: Path, name: str) -> Path:
    """The file that a row calls `name`, relative to `folder`: the path as it is; where there is no such file, one that
    differs in the ways above; and else the path as it is, which does not exist.

    Raises ImageError for an address.
    """
    if _ADDRESS.match(name):
        raise ImageError(f"image {name[:80]!r} is an address; save the image first and give its path.")
    plain = name.replace("\\", "/")
    spellings = list(dict.fromkeys((name, plain, unquote(_FILE.sub("", plain)))))
    exact = (folder / each for each in spellings)
    found = next((each for each in exact if is_file(each)), None)
    return found or next(filter(None, (_alike(folder / each) for each in spellings)), folder / name)


def is_file(path: Path) -> bool:
    """Whether there is a file; False too for a text that can be no path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _alike(path: Path) -> Path | None:
    """The file whose path differs in capitals or accents alone; None where there is none, or more than one."""
    at = Path(path.anchor)
    for part in path.parts[len(at.parts) :]:
        try:
            exact = (at / part).exists()
            name = part if exact else _names(at, at.stat().st_mtime_ns).get(_key(part))
        except (OSError, ValueError):
            return None
        if name is None:
            return None
        at /= name
    return at if is_file(at) else None


@lru_cache(maxsize=256)
def _names(folder: Path, changed: int) -> dict[str, str | None]:
    """Names of a folder's entries by key, None for a key of several."""
    names: dict[str, str | None] = {}
    for each in folder.iterdir():
        names[_key(each.name)] = None if _key(each.name) in names else each.name
    return names


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
