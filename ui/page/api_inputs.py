"""Inputs of API and MCP calls: what they take, and the checks of it, before Gradio keeps it in memory.

An image is a data URL, bare base64, or the path of an upload, and becomes a file among the uploads; addresses are not
fetched. Knows nothing of what is in the image.
"""

from __future__ import annotations

import logging
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder, is_in_or_equal
from PIL import Image

from crop_core.io.data_url import data_url, decode_base64
from crop_core.io.images import ImageError
from crop_core.records.config import ConfigError
from crop_core.records.formatting import truncated_repr

log = logging.getLogger(__name__)
TAKES = (
    "a data URL (data:image/png;base64,...), bare base64, or the path that /gradio_api/upload returned (in Python "
    "gradio_client's handle_file uploads)"
)
DESCRIPTION = f"{TAKES[0].upper()}{TAKES[1:]}; http and https addresses are not fetched."
MALFORMED_CALL = "The endpoint cannot read this call: send the parameters that /gradio_api/info lists, in their order."
NO_ROOM = "The server cannot store the file: its disk is full or closed to it; please tell whoever runs it."
MAX_PATH = 4096  # characters; to resolve a path takes a time that grows with its square
FILE = {"_type": "gradio.FileData"}
EXAMPLE = data_url(Image.new("RGB", (32, 32), "tomato"))


def check_call(inputs: list[Any], blocks: list[Any], max_bytes: float) -> None:
    """Check the untrusted values for these components in place; those left out at the end become their defaults.

    Raises ValueError with one sentence.
    """
    missing = blocks[len(inputs) :]
    if len(inputs) > len(blocks) or any(block.value is None for block in missing):
        labels = ", ".join(str(block.label) for block in blocks)
        raise ConfigError(f"{MALFORMED_CALL} Here they are {labels}; those with a default may be left out at the end.")
    inputs += [block.value for block in missing]
    for place, block in enumerate(blocks):
        if isinstance(block, (ApiText, ApiImage, ApiFlag)):
            inputs[place] = block.checked(inputs[place], max_bytes)


class Described:
    """Component of an endpoint that says what it is for. about: a sentence. example: a value that is taken. types: JSON
    schemas of what it takes where it has a default, besides null.
    """

    about, example = "", ""
    types: tuple[dict[str, Any], ...] = ({"type": "string"},)
    value: Any

    def described(self, about: str, example: Any) -> Any:
        """This component, with both."""
        self.about, self.example = about, example
        return self

    def api_info(self) -> dict[str, Any]:
        """JSON schema, with the sentence where the page that explains the API and MCP read it."""
        is_word = self.value is None or (self.value and self.types == Described.types)  # Gradio's snippets quote these
        own: dict[str, Any] = {"type": "string"} if is_word else {"anyOf": [*self.types, {"type": "null"}]}
        return {**own, "description": self.about, "additional_description": self.about}

    def example_inputs(self) -> Any:
        """A value that is taken."""
        return self.example


class ApiText(Described, gr.Textbox):
    """Text of an endpoint."""

    takes = "a text"

    def plain(self, value: Any) -> Any:
        """An untrusted value as a text, number, boolean or None; ValueError for anything else."""
        return _sendable(self.checked(value, inf))

    def get_block_name(self) -> str:
        """Name of the component at its front end, and for programs."""
        return "textbox"

    get_block_class = get_block_name

    def checked(self, value: Any, max_bytes: float) -> Any:
        """An untrusted value, if it is a text, a number or None; else ConfigError."""
        if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            raise ConfigError(f"The {self.label} is {truncated_repr(value)}, and must be {self.takes}.")
        return value


class ApiNumber(ApiText):
    """Text of an endpoint that may be a number."""

    takes = "a number, or a text"
    types = ({"type": "string"}, {"type": "number"})

    def checked(self, value: Any, max_bytes: float) -> Any:
        """As of a text; a float without a fraction is a whole number."""
        value = super().checked(value, max_bytes)
        return int(value) if isinstance(value, float) and value.is_integer() else value


class ApiRegion(ApiText):
    """Region of an endpoint: a text of four grid cells, or a list of them."""

    takes = "four grid cells x0, y0, x1, y1 from 0 to 7, such as [2, 0, 3, 1]"
    types = ({"type": "string"}, {"type": "array", "items": {"type": "number"}})

    def checked(self, value: Any, max_bytes: float) -> Any:
        """An untrusted value as a text; ConfigError for one that is neither."""
        if not isinstance(value, (list, tuple)):
            return super().checked(value, max_bytes)
        if len(value) != 4 or any(isinstance(cell, bool) or not isinstance(cell, (int, float, str)) for cell in value):
            raise ConfigError(f"The {self.label} is {truncated_repr(value)}, and must be {self.takes}.")
        return ",".join(f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in value)


class ApiFlag(Described, gr.Checkbox):
    """Switch of an endpoint: a boolean, or a text for one."""

    types = ({"type": "boolean"}, {"type": "string"})

    def plain(self, value: Any) -> bool:
        """As `checked`."""
        return self.checked(value, inf)

    def get_block_name(self) -> str:
        """Name of the component at its front end, and for programs."""
        return "checkbox"

    get_block_class = get_block_name

    def checked(self, value: Any, max_bytes: float) -> bool:
        """An untrusted value as a boolean, or ConfigError; null and an empty text are false."""
        texts = {"true": True, "1": True, "false": False, "0": False, "": False, "none": False}
        text = str(value).strip().lower() if isinstance(value, (str, int, type(None))) else "?"
        if text not in texts:
            raise ConfigError(f"The {self.label} is {truncated_repr(value)}, and must be true or false.")
        return texts[text]


class ApiImage(ApiText):
    """Image of an endpoint: a text, or an object with a "path", a data URL as its "url" or base64 as its "data"."""

    about, example = DESCRIPTION, EXAMPLE

    def plain(self, value: Any) -> str:
        """The text of an untrusted value, which is still to be checked; ImageError for one that has none."""
        return str(_sendable(_text(value)))

    def preprocess(self, payload: Any) -> str:
        """Path of the file of `checked`."""
        return str(payload["path"])

    def checked(self, value: Any, max_bytes: float) -> dict[str, Any]:
        """File data of an untrusted value, whose file lies among the uploads.

        Raises ImageError for anything else, and for a file larger than `max_bytes`.
        """
        text = _text(value)
        if not text:
            raise ImageError(f"There is no image: give {TAKES}.")
        return {"path": str(_uploaded(text) or self._saved(text, max_bytes)), "meta": FILE}

    def _saved(self, text: str, max_bytes: float) -> str:
        try:
            content = decode_base64(text)
        except ImageError:
            raise ImageError(f"The image is {truncated_repr(text)}, and must be {TAKES}.") from None
        if len(content) > max_bytes:
            raise ImageError(f"The image has {len(content)} bytes, and at most {max_bytes:.0f} are allowed.")
        try:
            with TemporaryDirectory() as folder:
                file = Path(folder) / "sent.image"
                file.write_bytes(content)
                return save_file_to_cache(file, self.GRADIO_CACHE)
        except OSError as error:
            log.warning("an image was not stored: %s", error)
            raise ImageError(NO_ROOM) from None


def _text(value: Any) -> str:
    """Text of a value: itself, or an object's data URL or path, or its base64 as in MCP's own images."""
    if isinstance(value, dict):
        given = [value.get(key) for key in ("url", "path", "data")]
        value = next((each for each in given if str(each)[:5].lower() == "data:"), given[1] or given[0] or given[2])
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ImageError(f"The image is {truncated_repr(value)}, and must be {TAKES}.")
    return value.strip()


def _sendable(value: Any) -> Any:
    """A value without halves of characters, as of an emoji that was cut in two: no program can send them."""
    return value.encode(errors="ignore").decode() if isinstance(value, str) else value


def _uploaded(text: str) -> Path | None:
    """The file that was uploaded to this path, if it was."""
    try:
        return Path(text) if len(text) <= MAX_PATH and is_in_or_equal(text, get_upload_folder()) else None
    except (OSError, ValueError):  # no path
        return None
