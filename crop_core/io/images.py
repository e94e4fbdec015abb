"""Validation of user input: any image becomes an upright RGB image, a question clean text.

The only place that opens an image of a user, and that says how large it is. Knows nothing of models. Errors are one
sentence (`ImageError`, `QuestionError`); sizes are checked in the header, before a pixel is decoded.
"""

from __future__ import annotations

import io
import logging
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Union

import numpy as np
from PIL import Image

from crop_core.io import orientation
from crop_core.io.decoding import ImageError, NoDecoderError, RawPhotoError, decode, refused_pixels, upright_size
from crop_core.io.early_end import Partial
from crop_core.io.samples import MAX_16_BIT, to_8_bit, to_rgb

ImageLike = Union[str, "PathLike[str]", bytes, bytearray, Image.Image, np.ndarray]

MAX_PIXELS = 64_000_000  # the largest phone photos in use have 50 million, decoding takes 3 bytes for each
MAX_SIDE = 16_384  # a phone's panorama
MAX_ASPECT = 100  # beyond it a 336 px model sees a strip about 3 px high: the answer would be a guess
MAX_QUESTION = 500  # characters
MAX_MODEL_SIDE = 2048  # pixels, several times the input of a vision tower
MIN_ROWS = 2 / 3  # of an image whose file ends early; the half of a file often holds more than half of the rows
UNNAMED = "The image"  # one that is no file, in messages
NOTICES: Any = ("crop_core", "notices")  # key in the `info` of an image, which no file can hold

_JOINERS = "\u200c\u200d"  # invisible, but part of how words and emoji are spelled
_decoding = threading.Lock()  # warnings.catch_warnings changes the process: one thread at a time


class QuestionError(ValueError):
    """An unusable question; the message is one sentence for the user."""


def open_image(source: ImageLike | None) -> Image.Image:
    """Read an image as upright 8-bit RGB.

    The orientation in its metadata is applied, colour profiles are not; transparency is composed on white, 16-bit and
    float samples are scaled to 8 bits, and of an animation the first frame is taken. Of a file that ends early the
    missing part is filled, and `image_notices` says so. The result never shares memory with `source`.

    Args:
        source: a file's path, its bytes, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8,
            uint16, bool, or floats in 0..1.

    Returns:
        A PIL image in mode RGB, within `MAX_PIXELS`, `MAX_SIDE` and `MAX_ASPECT`.

    Raises:
        ImageError: no image, not an image, a broken or a too large or a too narrow one, or one of which too
            little is there.
    """
    if source is None:
        raise ImageError("There is no image yet: choose one first.")
    if isinstance(source, np.ndarray):
        return _finished(_from_array(source))
    if isinstance(source, Image.Image):
        with _one_sentence(UNNAMED):
            return _of_object(source)
    if isinstance(source, (bytes, bytearray)):
        if not source:
            raise ImageError("The image is empty.")
        with _one_sentence(UNNAMED):
            return _of_file(io.BytesIO(source), UNNAMED)
    if isinstance(source, (str, PathLike)):
        path = _checked_path(source)
        name = f"'{path.name}'"
        with _opened(path) as file, _one_sentence(name):
            return _of_file(file, name)
    raise ImageError(f"An image can be a path, bytes, a PIL image or an array, not {type(source).__name__}.")


def image_size(path: str | PathLike[str]) -> tuple[int, int]:
    """(width, height) in pixels of the image that `open_image` reads, from its header; ImageError as there, except for
    pixels that turn out to be broken.
    """
    checked = _checked_path(path)
    with _opened(checked) as file, _one_sentence(f"'{checked.name}'"):
        return upright_size(file, _check_size)


def image_notices(images: Iterable[Image.Image]) -> list[str]:
    """What a user is to know of the files that `open_image` read these from, each sentence once."""
    return list(dict.fromkeys(sentence for image in images for sentence in image.info.get(NOTICES, ())))


def open_row(path: Path) -> Image.Image:
    """`open_image` for a row of a data set, whose notices are logged, each once."""
    image = open_image(path)
    for sentence in image_notices([image]):
        _log_once(sentence)
    return image


@cache
def _log_once(sentence: str) -> None:
    logging.getLogger(__name__).warning(sentence)


def reduced(image: Image.Image, max_length: int = MAX_MODEL_SIDE) -> Image.Image:
    """The image shrunk by the smallest whole factor that brings its longer side to at most `max_length` pixels.

    No difference for a model, but padding a full panorama to a square takes seconds and gigabytes. The same object if
    the factor is 1.
    """
    factor = _factor(image.size, max_length)
    return image if factor == 1 else image.reduce(factor)


def reduced_size(size: tuple[int, int], max_length: int = MAX_MODEL_SIDE) -> tuple[int, int]:
    """The size after `reduced` of an image of this (width, height)."""
    factor = _factor(size, max_length)
    return -(-size[0] // factor), -(-size[1] // factor)


def _factor(size: tuple[int, int], max_length: int) -> int:
    return -(-max(size) // max_length)


def check_question(text: str | None, max_length: int = MAX_QUESTION) -> str:
    """Clean a question: white space becomes single spaces, control characters are removed.

    Returns:
        The question, 1 to `max_length` characters.

    Raises:
        QuestionError: nothing is left, or it is too long.
    """
    if text is not None and not isinstance(text, str):
        raise QuestionError(f"A question is a text, not {type(text).__name__}.")
    spaced = " ".join((text or "").split())
    cleaned = spaced  # printable characters need no cleaning
    if not spaced.isprintable():
        cleaned = " ".join("".join(c for c in spaced if _is_text(c)).split())
    if not cleaned.strip(_JOINERS):
        raise QuestionError("The question is empty: type what you would like to know about the image.")
    if len(cleaned) > max_length:
        raise QuestionError(
            f"The question has {len(cleaned)} characters, and at most {max_length} are allowed: please shorten it."
        )
    return cleaned


def _is_text(character: str) -> bool:
    """False for control, formatting and surrogate characters, which are removed before tokenization."""
    return character in _JOINERS or unicodedata.category(character) not in ("Cc", "Cf", "Cs")


def _checked_path(source: str | PathLike[str]) -> Path:
    if not str(source).strip():
        raise ImageError("The path of the image is empty: give the file of one image.")
    if "://" in str(source):
        raise ImageError(f"'{source}' is an address: save the image first and give its file.")
    path = Path(source)
    try:
        if not path.exists():
            raise ImageError(f"There is no file '{path.name}'.")
        if path.is_dir():
            raise ImageError(f"'{path.name}' is a folder: give the file of one image.")
        if not path.is_file():
            raise ImageError(f"'{path.name}' is not an ordinary file.")
        if path.stat().st_size == 0:
            raise ImageError(f"'{path.name}' is empty.")
    except OSError as error:
        raise ImageError(f"'{path.name}' cannot be read: {error.strerror or error}.") from error
    return path


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"'{path.name}' cannot be read: {error.strerror or error}.") from error
    with file:
        yield file


def _of_file(file: BinaryIO, name: str) -> Image.Image:
    decoded = decode(file, _check_size)
    return _finished(decoded.image, _missing(decoded.partial, name) if decoded.partial else [])


def _missing(partial: Partial, name: str) -> list[str]:
    """A notice for a file that ends early, if anything is missing; ImageError where that is too much."""
    height = partial.image.height
    file = "The file" if name == UNNAMED else f"{name}: the file"
    rows = f"{partial.rows} of {height} rows are there"
    if partial.rows < MIN_ROWS * height:
        little = f"only {rows}" if partial.rows else "too little of it is there"
        raise ImageError(f"{name} is damaged or incomplete: the file ends early, and {little}.")
    if partial.coarse:
        return [f"{file} ends early: {rows}, but not in full detail."]
    return [f"{file} ends early: {rows}."] if partial.rows < height else []


def _of_object(image: Image.Image) -> Image.Image:
    """A PIL image; one that is still a file, and cannot be decoded as it is, is read as that file."""
    _check_size(*image.size)
    file = getattr(image, "fp", None)
    try:
        image.load()
    except Exception:
        if file is None or file.closed or getattr(image, "tell", lambda: 0)():
            raise
        return _of_file(file, UNNAMED)
    return _finished(orientation.turned(image, orientation.of_object(image)), image_notices([image]))


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Turn every error and warning of a decoder into one ImageError about `name`."""
    with _decoding, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn about malformed files that they still read
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except ImageError:
            raise
        except Image.UnidentifiedImageError as error:
            raise ImageError(
                f"{name} is not an image that can be read here: use PNG, JPEG, WebP, GIF, TIFF or HEIC."
            ) from error
        except NoDecoderError as error:
            raise ImageError(
                f"{name} is a HEIC image, and the package that reads them is missing: run pip install pillow-heif, or "
                "save the image as JPEG or PNG."
            ) from error
        except RawPhotoError as error:
            raise ImageError(
                f"{name} is a camera's raw file (DNG, NEF, CR2, ...), of which only a preview could be read: export it "
                "as JPEG or PNG."
            ) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            told = f"it has {refused_pixels(error) / 10**6:.0f} million pixels, and at most {MAX_PIXELS / 10**6:g}"
            raise ImageError(f"{name} is too large: {told} million are allowed.") from error
        except PermissionError as error:
            raise ImageError(f"{name} cannot be read: {error.strerror}.") from error
        except Exception as error:  # a decoder on a broken file raises anything: OSError, SyntaxError, struct.error ...
            raise ImageError(f"{name} is damaged or incomplete: it starts as an image, but cannot be read.") from error


def _finished(image: Image.Image, sentences: list[str] | None = None) -> Image.Image:
    """RGB, without the metadata, by which a browser would show other colours than the model sees."""
    _check_size(*image.size)
    rgb = to_rgb(image)
    rgb.info = {NOTICES: sentences} if sentences else {}
    return rgb


def _check_size(width: int, height: int) -> None:
    short, long = sorted((width, height))
    if short < 1:
        raise ImageError(f"The image has no pixels: it is {width} x {height}.")
    if long > MAX_ASPECT * short:
        raise ImageError(
            f"The image is too narrow: of {width} x {height} pixels the model would see a line, so cut out a part "
            f"that is at most {MAX_ASPECT} times as long as wide."
        )
    if width * height > MAX_PIXELS or long > MAX_SIDE:
        raise ImageError(
            f"The image is too large: it is {width} x {height}, and at most {MAX_PIXELS // 10**6} million pixels and "
            f"{MAX_SIDE} a side are allowed."
        )


def _from_array(array: np.ndarray) -> Image.Image:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to a PIL image of mode L, RGB or RGBA."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ImageError(f"An array of shape {array.shape} is not an image: use (height, width[, 3 or 4]).")
    _check_size(array.shape[1], array.shape[0])
    if array.dtype == np.uint16:
        array = to_8_bit(array / MAX_16_BIT)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ImageError("An image of floats must hold finite values from 0 to 1.")
        array = to_8_bit(array * 255)
    elif array.dtype != np.uint8:
        raise ImageError(f"An array of {array.dtype} is not an image: use uint8, uint16, bool or floats from 0 to 1.")
    return Image.fromarray(np.ascontiguousarray(array))
