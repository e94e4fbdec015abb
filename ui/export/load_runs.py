"""Runs that were recorded in files, here or elsewhere, opened again without a model. Nothing in a file is believed.

Files are JSON of `Comparison.to_json`, zips of them, and images for those that have none inside.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from PIL import Image

from crop_core.io.data_url import data_url, image_from_data_url
from crop_core.io.images import MAX_ASPECT, MAX_PIXELS, open_image, reduced
from crop_core.records.base import Record, limit
from crop_core.records.formatting import MAX_REPR
from crop_core.records.results import MAX_IMAGES, Comparison
from ui.views import texts
from ui.views.explorer_state import ExplorerState, ShownImage
from ui.views.history import MOST, FinishedRun

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.trace import TokenTrace

MOST_BYTES = 20_000_000  # of one file, unpacked
MOST_ALL = 60_000_000  # bytes of all files together
MOST_FILES = 200  # in a zip
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
STAND_IN = "{name} lacks an image inside, and none of its size was given beside it: a grey one stands in for it."


class TraceFileError(ValueError):
    """A file that is no recorded run; the message is one sentence."""


class EmbeddedImages(Record):
    """The images in a recorded run's file, beside its comparison: data URLs that nobody looked at yet."""

    pictures: Annotated[list[str], limit(MAX_IMAGES)] = field(default_factory=list)


@dataclass
class LoadedRuns:
    """What a choice of files held. notices: what the user must know of it."""

    runs: list[FinishedRun] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Beside:
    """An image given beside the runs: its file's name without the ending, its size, and it, perhaps scaled down."""

    stem: str
    size: tuple[int, int]
    image: Image.Image


def open_files(paths: Sequence[str]) -> LoadedRuns:
    """Every run in the files, in their order, at most MOST; one sentence for each file that is none.

    An image belongs to a run when its size, or its name without the ending, is that of the run; of several images
    the name is that of the first.
    """
    opened = LoadedRuns()
    records: list[tuple[str, bytes]] = []
    images: list[Beside] = []
    left = MOST_ALL
    for name, content in _parts(paths, opened.notices):
        left -= len(content)
        if left < 0:
            opened.notices.append(
                f"Together the files have more than {MOST_ALL // 1_000_000} MB; the rest was left out."
            )
            break
        if name.lower().endswith(IMAGES):
            if len(images) < MOST:
                _noting(opened.notices, name, lambda name=name, content=content: images.append(_kept(name, content)))
        else:
            records.append((name, content))
    for name, content in records[:MOST]:
        _noting(opened.notices, name, lambda name=name, content=content: _add(opened, name, content, images))
    if len(records) > MOST:
        opened.notices.append(f"Of {len(records)} files the first {MOST} were opened, which is how many are kept.")
    if not (opened.runs or opened.notices):
        opened.notices.append("There is no recorded run; choose JSON files of recorded runs, or a zip of them.")
    return opened


def read(content: bytes, name: str = "The file") -> tuple[Comparison, list[str]]:
    """One recorded run and its embedded images, as data URLs that nobody looked at yet.

    Raises TraceFileError for anything else: no JSON, another version's, one edited by hand until it does not fit.
    """
    try:
        result, embedded = Comparison.from_untrusted_json(content), EmbeddedImages.from_untrusted_json(content)
        texts.method_name(result.method)
        _fits(result)
    except (ValueError, OverflowError) as error:
        raise TraceFileError(f"{name} is no recorded run: {error}") from None
    return result, embedded.pictures


def _fits(result: Comparison) -> None:
    """Sizes that the records themselves do not compare."""
    for region, trace in zip(result.regions, result.crop.traces, strict=True):
        _fits_image(region, trace.image_size)
        _fits_image(trace.region, trace.image_size)
        if trace.layers != result.trace.layers:
            raise TraceFileError(f"Its images go through {result.trace.layers} and {trace.layers} layers.")


def _fits_image(region: Region, size: tuple[int, int]) -> None:
    if max(size) > MAX_ASPECT * min(size):
        raise TraceFileError(f"Its image of {size[0]}x{size[1]} pixels is too narrow to be drawn.")
    if (region.width, region.height) != size:
        raise TraceFileError(f"Its region is of an image of {region.width}x{region.height}, not {size[0]}x{size[1]}.")


def _add(opened: LoadedRuns, name: str, content: bytes, pictures: list[Beside]) -> None:
    result, embedded = read(content, f"'{name}'")
    traces = result.crop.traces
    found = _images(name, traces, embedded, pictures)
    if None in found:
        opened.notices.append(STAND_IN.format(name=f"'{name}'"))
    images = tuple(image or stand_in(trace) for image, trace in zip(found, traces, strict=True))
    shown = tuple(ShownImage(data_url(image), trace.image_size) for image, trace in zip(images, traces, strict=True))
    view = ExplorerState(shown, result.question, texts.method_name(result.method))
    view = replace(view, stage="done", region=result.region, result=result, answers=_answers(result), fixed=True)
    view.to_json()  # what cannot be drawn is told now
    opened.runs.append(FinishedRun(images, result, view, file=name))


def _images(
    name: str, traces: Sequence[TokenTrace], embedded: Sequence[str], images: Sequence[Beside]
) -> list[Image.Image | None]:
    """The image of each trace: the one inside, or else one beside, which stands for one trace alone."""
    found: list[Image.Image | None] = [*_embedded(embedded[: len(traces)])]
    free = list(images)
    for trace in traces[len(found) :]:
        one = _beside("" if found else Path(name).stem, trace, free)
        free = [each for each in free if each is not one]
        found.append(None if one is None else one.image)
    return found


def _answers(result: Comparison) -> dict[str, str]:
    return {"baseline": result.baseline.text, "crop": result.crop.text}


def _kept(name: str, content: bytes) -> Beside:
    image = open_image(content)
    return Beside(Path(name).stem, image.size, reduced(image))


def _embedded(urls: Sequence[str]) -> Iterator[Image.Image]:
    """The images inside, which have a largest size together."""
    pixels = 0
    for url in urls:
        image = image_from_data_url(url)
        pixels += image.width * image.height
        if pixels > MAX_PIXELS:
            raise TraceFileError(f"Its images together have more than {MAX_PIXELS // 10**6} million pixels.")
        yield reduced(image)


def _beside(stem: str, trace: TokenTrace, images: Sequence[Beside]) -> Beside | None:
    """The image with this name, or else one with the trace's size."""
    named = [each for each in images if each.stem == stem]
    sized = [each for each in images if each.size == tuple(trace.image_size)]
    return next(iter([*named, *sized]), None)


def stand_in(trace: TokenTrace) -> Image.Image:
    """A grey image of the trace's shape."""
    width, height = trace.image_size
    scale = min(1.0, 1024 / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(np.full((size[1], size[0], 3), 200, np.uint8))


def _noting(notices: list[str], name: str, work: Any) -> None:
    """Does it; a ValueError becomes a sentence with the file's name."""
    try:
        work()
    except ValueError as error:
        told = str(error)
        notices.append(told if name in told else f"'{name}': {told}")


def _parts(paths: Sequence[str], notices: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file, those inside zips too."""
    for path in paths:
        name = _readable(path)
        content = Path(path).read_bytes() if Path(path).stat().st_size <= MOST_BYTES else None
        if content is None:
            notices.append(f"'{name}' has more than {MOST_BYTES // 1_000_000} MB; give a smaller one.")
        elif zipfile.is_zipfile(io.BytesIO(content)):
            yield from _unpacked(name, content, notices)
        else:
            yield name, content


def _readable(path: str) -> str:
    """A file's name as a sentence can say it: printable, and its middle left out when long."""
    name = "".join(letter if letter.isprintable() else "?" for letter in Path(path).name)
    return name if len(name) <= MAX_REPR else f"{name[: MAX_REPR // 2]}…{name[-MAX_REPR // 2 :]}"


def _unpacked(name: str, content: bytes, notices: list[str]) -> Iterator[tuple[str, bytes]]:
    """What a zip holds, never more than MOST_BYTES of it in all, whatever its own lists say."""
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = [each for each in packed.infolist() if each.filename.lower().endswith((".json", *IMAGES))]
            for entry in entries[:MOST_FILES]:
                with packed.open(entry) as stream:
                    part = stream.read(left + 1)
                left -= len(part)
                if left < 0:
                    raise TraceFileError(f"it holds more than {MOST_BYTES // 1_000_000} MB")
                yield _readable(entry.filename), part
    except TraceFileError as error:
        notices.append(f"'{name}' cannot be unpacked: {error}.")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        notices.append(f"'{name}' cannot be unpacked: it is broken, or packed in a way that is not known here.")
