"""Chat rows, the format that fine-tuning kits share, as rows of an image, a question and its answer.

"messages" (role and content) or "conversations" (from and value), and "images" or "image". Contents are texts or lists
of parts, as in the chat templates of OpenAI and transformers. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crop_core.io.data_url import decode_base64
from crop_core.io.images import ImageError
from crop_core.io.row_names import lacking, listed
from crop_core.io.text_files import RowsError
from crop_core.records.formatting import truncated_repr

CHATS = ("messages", "conversations")
_USERS, _MODELS = ("user", "human"), ("assistant", "gpt", "model", "bot")
_LONGEST_PATH = 1024  # characters
_IMAGE = "<image>"  # where the image stands in a text
_PLACES = ("path", "file_name", "image", "url", "image_url")  # of an image's path in an object


def unfolded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with "question" and "answer" of the first user's and the first model's turn, "images" of that turn where
    the row has none, and "turns", how many the user has; as it is where it holds no chat.

    Raises RowsError for a chat without a question, and for a row without an image or a question.
    """
    name = next((each for each in CHATS if row.get(each)), None)
    if name is None:
        return _checked(row)
    turns = [each for each in row[name] if isinstance(each, dict)] if isinstance(row[name], list) else []
    said = [(each.get("role", each.get("from")), each.get("content", each.get("value"))) for each in turns]
    asked = [content for role, content in said if role in _USERS]
    if not asked or not _text(asked[0]):
        raise RowsError(f"its {name} hold no question; a turn is a role (user, assistant) and content")
    made: dict[str, Any] = {"question": _text(asked[0]), "turns": len(asked)}
    if not (row.get("image") or row.get("images")):
        made["images"] = list(_parts(asked[0], "image", "image_url"))
    if not (row.get("answer") or row.get("answers")):
        made["answer"] = _text(next((content for role, content in said if role in _MODELS), None))
    return {**row, **made}


def image_of(row: dict[str, Any]) -> str | bytes:
    """The path of the row's one image, or the bytes of one inside the row; RowsError for none or several."""
    value = next((row[name] for name in ("image", "file_name", "images") if row.get(name)), None)
    if not isinstance(value, list) or not value:
        return _image(value)
    found = [_image(each) for each in value]
    # Visual-CoT names an image twice, the second time with ### and a box
    images = dict.fromkeys(each.partition("###")[0] if isinstance(each, str) else each for each in found)
    if len(images) > 1:
        raise RowsError(f"it has {len(images)} images, and a question is asked about one")
    return next(iter(images))


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    if missing := lacking(row):
        raise RowsError(
            f"it has no {' and no '.join(missing)}, but {listed(row)}; a row has image, question and answer, or "
            "messages and images"
        )
    return row


def _image(value: Any) -> str | bytes:
    """Path or bytes of an image: as it is, in an object, as a data URL, or as base64, which is longer than a path."""
    if isinstance(value, dict):
        return _image(value.get("bytes") or next((value[key] for key in _PLACES if value.get(key)), None))
    if isinstance(value, str) and (value.startswith("data:") or len(value) > _LONGEST_PATH):
        return _decoded(value)
    if not isinstance(value, (str, bytes)) or not value:
        raise RowsError(f"image {truncated_repr(value)} is not the path of an image")
    return value


def _decoded(url: str) -> bytes:
    try:
        return decode_base64(url)
    except ImageError:
        raise RowsError(f"image {truncated_repr(url)} is broken: its base64 cannot be read") from None


def _text(content: Any) -> str:
    """What a turn says, without the places of images."""
    text = " ".join(map(str, _parts(content, "text"))) if isinstance(content, list) else content
    return text.replace(_IMAGE, " ").strip() if isinstance(text, str) else ""


def _parts(content: Any, *names: str) -> Iterator[Any]:
    """The values of these names in the parts of a turn."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            yield from (part[name] for name in names if part.get(name))
