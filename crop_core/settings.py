"""What an operator may set from outside: environment variables, read once, validated, each explained in one line.

A plain dataclass instead of pydantic-settings: nothing to install, and a wrong value is one sentence. Knows nothing of
torch and Gradio; a value that is None leaves the choice to whoever takes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

PREFIX = "CROP_"
NO_LOCALIZER = "none"


class SettingsError(ValueError):
    """An environment variable with a value that cannot be; the message is one sentence."""


def _text(value: str) -> str:
    return value


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(value)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(" or ".join(allowed))
        return value

    return parse


def _switch(value: str) -> bool:
    if value not in ("0", "1"):
        raise ValueError("0 or 1")
    return value == "1"


def _setting(default: Any, help: str, parse: Callable[[str], Any] = _text) -> Any:
    return field(default=default, metadata={"help": help, "parse": parse})


@dataclass(frozen=True)
class Settings:
    """The settings of the app. Each field is the environment variable CROP_<NAME>; an empty one counts as not set."""

    model: str | None = _setting(None, "Answering model: a bundled name, a local folder or a hub id.")
    localizer: str | None = _setting(
        None, "Localizer, named like the model; 'self' is the model itself, 'none' starts without one."
    )
    device: str | None = _setting(
        None, "cpu, cuda, cuda:1, or auto for all of them at once; chosen by itself when empty."
    )
    dtype: str | None = _setting(None, "float32, bfloat16 or float16; chosen for the device when empty.")
    quantize: str | None = _setting(
        None, "8bit or 4bit weights in both models, by bitsandbytes; none when empty.", _one_of("8bit", "4bit")
    )
    compiled: bool = _setting(False, "1 to run parts of the model compiled, on a GPU; starts slower.", _switch)
    host: str | None = _setting(None, "Address to listen on; this machine alone when empty, 0.0.0.0 for all.")
    port: int | None = _setting(
        None, "Port to listen on; the first free one from 7860 on when empty.", _whole_number(1, 65535)
    )
    max_upload_mb: int = _setting(20, "Largest picture file that is taken, in megabytes.", _whole_number(1, 1000))
    max_queue: int = _setting(
        16, "Requests that may wait for the model before new ones are sent away.", _whole_number(1, 10000)
    )
    mcp: bool = _setting(False, "1 to offer ask, compare and localize as MCP tools too; needs mcp.", _switch)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the CROP_* variables of `environ` (the process's own when None).

        Raises SettingsError for a value that is not allowed.
        """
        environ = os.environ if environ is None else environ
        found = {}
        for setting in fields(cls):
            name = variable(setting.name)
            if value := environ.get(name, "").strip():
                try:
                    found[setting.name] = setting.metadata["parse"](value)
                except ValueError as error:
                    raise SettingsError(f"{name} is {value!r}, and must be {error}.") from None
        return cls(**found)

    def engine_options(self) -> dict[str, Any]:
        """Keyword arguments for CropEngine.from_pretrained: only what was set, so that its own defaults stand."""
        options: dict[str, Any] = {
            name: value
            for name in ("model", "localizer", "device", "dtype", "quantize", "compiled")
            if (value := getattr(self, name))
        }
        if self.localizer == NO_LOCALIZER:
            options["localizer"] = None
        return options


def variable(name: str) -> str:
    """The environment variable of a field of `Settings`."""
    return PREFIX + name.upper()


def explained() -> dict[str, tuple[str, str]]:
    """Every environment variable with its default, as text, and its explanation."""
    return {
        variable(each.name): ("" if each.default is None else f"{each.default:d}", each.metadata["help"])
        for each in fields(Settings)
    }
