"""Names of a row's values, as people spell them: "Image", "file name" and "image_path" are read as ours.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_OURS = (
    "image", "images", "file_name", "question", "question_id", "answer", "answers", "id", "kind", "boxes", "bboxs",
    "width", "height", "dataset", "messages", "conversations",
)  # fmt: skip
_OTHERS = {
    "image": ("image_path", "image_file", "image_name", "img", "img_path"),
    "question": ("query", "prompt"),
    "answer": ("response", "ground_truth"),
    "boxes": ("bboxes",),
}
NEEDED = ("image", "question")
_SAME = {"image": ("file_name", "images", "messages", "conversations"), "question": ("messages", "conversations")}


def _bare(name: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(filter(str.isalnum, name.casefold()))


_NAMES = {_bare(name): name for name in _OURS}
_NAMES |= {_bare(other): name for name, others in _OTHERS.items() for other in others}


def our_name(name: str) -> str | None:
    """The name that a head or key stands for; None for one that is not read."""
    return _NAMES.get(_bare(name))


def with_our_names(row: Mapping[Any, Any]) -> dict[Any, Any]:
    """The row with its values under our names too; a value that has its name already stays."""
    ours: dict[Any, Any] = {}
    for key, value in row.items():
        name = our_name(key) if isinstance(key, str) else None
        if name and name not in row and ours.get(name) in (None, ""):
            ours[name] = value
    return {**ours, **row}


def lacking(names: Iterable[str]) -> list[str]:
    """Of NEEDED, those that none of these heads or keys stands for."""
    ours = {our_name(name) for name in names}
    return [name for name in NEEDED if ours.isdisjoint((name, *_SAME[name]))]


def listed(names: Iterable[object], most: int = 12) -> str:
    """Names in quotes, for a message."""
    texts = [f"'{str(name)[:40]}'" for name in names]
    return ", ".join(texts[:most]) + (", ..." if len(texts) > most else "") or "none"
