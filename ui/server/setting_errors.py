"""What is wrong with a setting, as one sentence; and the lines of an `.env` that would be passed over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from dotenv.parser import parse_stream
from pydantic import SecretStr
from pydantic.fields import FieldInfo

PREFIX = "CROP_"
HIDDEN = "***"
GRADIO = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT", "root_path": "GRADIO_ROOT_PATH"}  # where unset


class SettingsError(ValueError):
    """A setting with an invalid value; the message is one sentence."""


def variable(name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return PREFIX + name.upper()


def check_lines(path: Path) -> None:
    """SettingsError for the first line of an `.env` that would be passed over: the app would start, and ask nobody for
    the login of that line. Another program's name may stand alone.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            lines = list(parse_stream(stream))
    except (OSError, UnicodeDecodeError):  # told when it is read
        return
    for line in lines:
        alone = line.key is not None and line.value is None
        if line.error or (alone and not re.fullmatch(rf"(?!{PREFIX})\w+", str(line.key))):
            text = line.original.string  # with the empty lines before it
            number = line.original.line + text[: len(text) - len(text.lstrip())].count("\n")
            raise SettingsError(f"Line {number} of the file {path} is not NAME=value; correct it, or remove it.")


def sentence(error: Any, fields: Mapping[str, FieldInfo], given: Mapping[str, Any]) -> str:
    """A pydantic error as one sentence: the variable, its value, what is allowed. fields: of the settings.

    given: those whose value is from Gradio's variable.
    """
    message = str(error["ctx"]["error"]) if error["type"] == "value_error" else None
    if not error["loc"]:  # about several settings at once
        return str(message)
    name = str(error["loc"][0])
    field = fields[name]
    value = repr(HIDDEN if SecretStr in get_args(field.annotation) else error["input"])
    own = GRADIO[name] if name in given else variable(name)
    return f"{own} is {value}, and must be {message or _allowed_values(field)}."


def _allowed_values(field: FieldInfo) -> str:
    """The allowed values of a field, in words."""
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind is not type(None)]
    choices = [choice for kind in kinds for choice in get_args(kind) if isinstance(choice, str)]
    if choices:
        return " or ".join(choices)
    if bool in kinds:
        return "0 or 1"
    low, high = (getattr(each, name) for name in ("ge", "le") for each in field.metadata if hasattr(each, name))
    return f"a whole number from {low} to {high}"
