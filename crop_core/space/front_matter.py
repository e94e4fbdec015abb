"""Front matter of the README: what Spaces reads of it, and what it would refuse.

Source: https://huggingface.co/docs/hub/spaces-config-reference.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import SpaceHardware

from crop_core.records.formatting import nearest
from crop_core.space.spacefile import SpaceError, read_text, read_yaml

README = "README.md"
KEYS = (
    "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "pinned", "license",
    "suggested_hardware", "suggested_storage", "short_description", "tags", "header", "fullWidth", "thumbnail",
    "models", "datasets", "preload_from_hub", "startup_duration_timeout", "disable_embedding", "custom_headers",
    "hf_oauth", "hf_oauth_scopes", "hf_oauth_expiration_minutes",
)  # fmt: skip
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
HARDWARE = tuple(each.value for each in SpaceHardware)
MAX_DESCRIPTION = 60  # characters
FORMS = {  # of texts: a pattern, and what it is
    "sdk": (r"gradio", "gradio, which the app is made with"),
    "sdk_version": (r"\d+\.\d+\.\d+", 'a whole version in quotes, such as "6.31.0"'),
    "python_version": (r"3\.\d+(\.\d+)?", 'a version in quotes, such as "3.12": without them 3.10 is 3.1'),
    "emoji": (r"[^\x00-\x7f]+", "an emoji"),
    "startup_duration_timeout": (r"\d+(\.\d+)? ?(s|m|h)\w*", "a duration, such as 30m or 1h"),
}
CHOICES = {"colorFrom": COLORS, "colorTo": COLORS, "suggested_hardware": HARDWARE}
NEEDED = ("title", "sdk", "sdk_version", "app_file")


def read_front_matter(folder: Path) -> dict[str, Any]:
    """The YAML block at the start of a folder's README; SpaceError where there is none."""
    block = re.match(r"---\n(.*?)\n---\n", read_text(folder / README), re.DOTALL)
    if block is None:
        raise SpaceError(f"{README} does not start with a block between two lines ---, which Spaces reads; add it.")
    return read_yaml(folder / README, f"\n{block[1]}")  # lines are counted as in the file


def front_matter_problems(front: dict[str, Any], files: Collection[str]) -> Iterator[str]:
    """A sentence for each value that Spaces would refuse. files: those that go up."""
    for key in front:
        if key not in KEYS:
            yield f"{README} has the key {key!r}, which Spaces does not know; {nearest(key, KEYS, 'remove it.')}"
    for key in NEEDED:
        if key not in front:
            yield f"{README} has no {key} in its front matter, which a Space needs; add it."
    for key, (pattern, what) in FORMS.items():
        if key in front and not (isinstance(front[key], str) and re.fullmatch(pattern, front[key])):
            yield _wrong(key, front[key], what)
    for key, choices in CHOICES.items():
        if key in front and front[key] not in choices:
            yield _wrong(key, front[key], f"one of {', '.join(choices)}")
    length = len(str(front.get("short_description", "")))
    if length > MAX_DESCRIPTION:
        yield f"The short_description in {README} has {length} characters, and must have at most {MAX_DESCRIPTION}."
    if "app_file" in front and front["app_file"] not in files:
        yield f"The app_file {front['app_file']!r} of {README} is not among the files that go up; name it in Spacefile."


def _wrong(key: str, value: object, what: str) -> str:
    return f"{key} in {README} is {value!r}, and must be {what}."
