"""`Spacefile`: what our Hugging Face Space is. Reads the file; knows nothing of the hub."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from crop_core.records.formatting import nearest

NAME = "Spacefile"
MODEL, ALLOWED = "CROP_MODEL", "CROP_ALLOWED_MODELS"
KINDS = {
    "hardware": (str, "a name such as zero-a10g"),
    "sleep_time": (int, "a whole number of seconds"),
    "variables": (dict, "a list of NAME: value"),
    "secrets": (list, "a list of names"),
    "files": (list, "a list of files, folders that end with /, and patterns after ! that leave out"),
}
ALL = ", ".join(KINDS)


class SpaceError(ValueError):
    """What a Space cannot be made of, or the hub refuses; the message is one sentence."""


@dataclass(frozen=True)
class SpaceDescription:
    """hardware: a flavor of the hub. sleep_time: seconds. variables: public. secrets: names. files: patterns."""

    hardware: str
    files: tuple[str, ...]
    sleep_time: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    def changed(self, hardware: str | None, model: str | None, bundled: tuple[str, ...] = ()) -> SpaceDescription:
        """With other hardware, and with an answering model, which a public server may load; None keeps what is there.

        bundled: models that every server may load.
        """
        variables = dict(self.variables)
        if model is not None:
            variables[MODEL] = model
            if model not in bundled:
                listed = [name for name in variables.get(ALLOWED, "").split(",") if name]
                variables[ALLOWED] = ",".join(dict.fromkeys([*listed, model]))
        return replace(self, hardware=hardware or self.hardware, variables=variables)


def read_spacefile(folder: Path) -> SpaceDescription:
    """Description in a folder; SpaceError for a file that is missing, no YAML, or not such a description."""
    data = read_yaml(folder / NAME, read_text(folder / NAME))
    for key, value in data.items():
        if key not in KINDS:
            raise SpaceError(f"{NAME} has the unknown key {key!r}; {nearest(str(key), KINDS, f'use {ALL}.')}")
        kind, what = KINDS[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise SpaceError(f"{key} in {NAME} is {value!r}, and must be {what}.")
    for key in ("hardware", "files"):
        if not data.get(key):
            raise SpaceError(f"{NAME} has no {key}; add {KINDS[key][1]}.")
    variables = {str(name): _text(name, value) for name, value in data.get("variables", {}).items()}
    lists = {key: tuple(map(str, data.get(key, []))) for key in ("files", "secrets")}
    return SpaceDescription(data["hardware"], lists["files"], data.get("sleep_time"), variables, lists["secrets"])


def read_text(path: Path) -> str:
    """Text of a file of the Space; SpaceError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpaceError(
            f"There is no {path.name} in '{path.parent}'; run this in a copy of the repository of CROP Explorer."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise SpaceError(f"{path.name} in '{path.parent}' cannot be read ({reason}).") from None


def read_yaml(path: Path, text: str) -> dict[str, Any]:
    """A YAML mapping; SpaceError with the line for anything else."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise SpaceError(f"{path.name} is no YAML{where} ({reason or 'it is cut off'}); mend it.") from None
    if not isinstance(data, dict):
        raise SpaceError(f"{path.name} holds no keys with values; write lines such as hardware: zero-a10g.")
    return data


def _text(name: str, value: object) -> str:
    """Value of a variable as a Space holds it: a text."""
    if isinstance(value, (str, int, float)):
        return str(int(value)) if isinstance(value, bool) else str(value)
    raise SpaceError(f"The variable {name} in {NAME} is {value!r}, and must be a text or a number.")
