"""Validation of user input: any image becomes an upright RGB image, a question clean text.

Knows nothing of models. Errors are one sentence (`ImageError`, `QuestionError`); sizes are checked in the header,
before a pixel is decoded.
"""

from __future__ import annotations

import io
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Union

import numpy as np
from PIL import ExifTags, Image, ImageOps

ImageLike = Union[str, "PathLike[str]", bytes, bytearray, Image.Image, np.ndarray]

MAX_PIXELS = 64_000_000  # the largest phone photos in use have 50 million, decoding takes 3 bytes for each
MAX_SIDE = 16_384  # a phone's panorama
MAX_ASPECT = 100  # beyond it a 336 px model sees a strip about 3 px high: the answer would be a guess
MAX_QUESTION = 500  # characters
MAX_MODEL_SIDE = 2048  # pixels, several times the input of a vision tower

# Raster formats decoded by Pillow itself. EPS, PDF and the like start other programs and are excluded on purpose.
FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF", "BMP", "DIB", "TIFF", "PPM", "ICO", "JPEG2000")

_16_BIT = 257  # 65535 / 255
_JOINERS = "\u200c\u200d"  # invisible, but part of how words and emoji are spelled
_decoding = threading.Lock()  # warnings.catch_warnings changes the process: one thread at a time


class ImageError(ValueError):
    """An unusable image; the message is one sentence for the user."""


class QuestionError(ValueError):
    """An unusable question; the message is one sentence for the user."""


def open_image(source: ImageLike | None) -> Image.Image:
    """Read an image as upright 8-bit RGB.

    EXIF orientation is applied, transparency is composed on white, 16-bit and float samples are scaled to 8 bits, and
    of an animation the first frame is taken. The result never shares memory with `source`.

    Args:
        source: a file's path, its bytes, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8,
            uint16, bool, or floats in 0..1.

    Returns:
        A PIL image in mode RGB, within `MAX_PIXELS`, `MAX_SIDE` and `MAX_ASPECT`.

    Raises:
        ImageError: no image, not an image, a broken or a too large or a too narrow one.
    """
    if source is None:
        raise ImageError("There is no image yet: choose one first.")
    if isinstance(source, np.ndarray):
        return _upright_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        with _one_sentence("The image"):
            return _upright_rgb(source)
    if isinstance(source, (bytes, bytearray)):
        return _decode(io.BytesIO(source), "The image")
    if isinstance(source, (str, PathLike)):
        path = _checked_path(source)
        return _decode(path, f"'{path.name}'")
    raise ImageError(f"An image can be a path, bytes, a PIL image or an array, not {type(source).__name__}.")


def image_size(path: str | PathLike[str]) -> tuple[int, int]:
    """(width, height) in pixels of the upright image in a file, from its header alone; ImageError as `open_image`."""
    file = _checked_path(path)
    with _one_sentence(f"'{file.name}'"), Image.open(file, formats=_formats()) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        _check_size(width, height)
    return (height, width) if turned else (width, height)


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


def _decode(source: Path | io.BytesIO, name: str) -> Image.Image:
    if isinstance(source, io.BytesIO) and not source.getbuffer().nbytes:
        raise ImageError(f"{name} is empty.")
    with _one_sentence(name), Image.open(source, formats=_formats()) as image:
        return _upright_rgb(image)


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
            raise ImageError(f"{name} is not an image that can be read here: use PNG, JPEG, WebP or GIF.") from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            limit = MAX_PIXELS // 10**6
            raise ImageError(f"{name} is too large: at most {limit} million pixels are allowed.") from error
        except PermissionError as error:
            raise ImageError(f"{name} cannot be read: {error.strerror}.") from error
        except Exception as error:  # a decoder on a broken file raises anything: OSError, SyntaxError, struct.error ...
            raise ImageError(f"{name} is damaged or incomplete: it starts as an image, but cannot be read.") from error


def _formats() -> list[str]:
    """The `FORMATS` supported by this build of Pillow."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _upright_rgb(image: Image.Image) -> Image.Image:
    _check_size(*image.size)
    return _to_rgb(_upright(image))


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


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the image may be intact despite a broken tag
        return image.copy()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_to_8_bit(np.asarray(image, dtype=np.float64) / _16_BIT))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_to_8_bit(_stretched(np.asarray(image, dtype=np.float64))))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _stretched(values: np.ndarray) -> np.ndarray:
    """Samples of unknown range (H, W) to 0..255: common ranges are kept, others are scaled from minimum to maximum."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values * 255
    if low >= 0 and high <= 255:
        return values
    if low >= 0 and high <= 65535:
        return values / _16_BIT
    return (values - low) / (high - low) * 255


def _to_8_bit(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _from_array(array: np.ndarray) -> Image.Image:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to a PIL image of mode L, RGB or RGBA."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ImageError(f"An array of shape {array.shape} is not an image: use (height, width[, 3 or 4]).")
    _check_size(array.shape[1], array.shape[0])
    if array.dtype == np.uint16:
        array = _to_8_bit(array / _16_BIT)
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ImageError("An image of floats must hold finite values from 0 to 1.")
        array = _to_8_bit(array * 255)
    elif array.dtype != np.uint8:
        raise ImageError(f"An array of {array.dtype} is not an image: use uint8, uint16, bool or floats from 0 to 1.")
    return Image.fromarray(np.ascontiguousarray(array))
