"""The settings in words: the manual, names that are none, and options of a command line that takes none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pydantic_settings import DotEnvSettingsSource

from crop_core.records.formatting import nearest
from ui.server.setting_errors import HIDDEN, PREFIX, SettingsError, variable
from ui.server.settings import Settings, explained


def manual() -> str:
    """Every setting with its default and explanation, for a terminal."""
    lines = [
        f"  {name:<20} {text}{f' [{default}]' if default else ''}" for name, (default, text) in explained().items()
    ]
    return "\n".join(["settings, as environment variables or in the file .env of this directory:", *lines])


def unknown_settings() -> list[str]:
    """`unknown_names` of the environment and `.env`."""
    return unknown_names([*os.environ, *DotEnvSettingsSource(Settings).env_vars])


def unknown_names(names: Iterable[str]) -> list[str]:
    """A sentence for each CROP_ name that is no setting, with the nearest one."""
    known = [variable(name) for name in Settings.model_fields]
    result = []
    for name in sorted({name.upper() for name in names} - {*known}):
        if name.startswith(PREFIX):
            hint = nearest(name, known, "python app.py --help lists the settings.")
            result.append(f"{name} is not a setting and is ignored; {hint}")
    return result


def variable_mistakes(variables: Mapping[str, str]) -> list[str]:
    """A sentence for each of these variables that is no setting, and for the first value that is not allowed."""
    try:
        Settings.from_variables(variables)
    except SettingsError as error:
        return [*unknown_names(variables), str(error)]
    return unknown_names(variables)


def variable_for(arguments: list[str]) -> str:
    """The sentence for arguments of a command line that takes none: which variable to set instead."""
    option, _, value = arguments[0].partition("=")
    name = PREFIX + option.lstrip("-").replace("-", "_").upper()
    if name not in explained():
        return f"{option} is not an option; settings are variables, which --help lists."
    value = value or next((text for text in arguments[1:2] if not text.startswith("-")), "...")
    return f"{option} is not an option; set {name}={HIDDEN if name == variable('login') else value} in the environment."
