"""Open recorded runs from files without a model; the content of a file is untrusted.

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

from crop_core.io.data_url import MAX_PNG_BYTES, data_url, image_from_data_url
from crop_core.io.images import MAX_ASPECT, MAX_PIXELS, image_notices, open_image, reduced
from crop_core.records.base import Record, limit
from crop_core.records.formatting import MAX_REPR
from crop_core.records.results import MAX_IMAGES, Comparison
from ui.views import texts
from ui.views.explorer_state import ExplorerState, ShownImage
from ui.views.history import MAX_RUNS, FinishedRun

if TYPE_CHECKING:
    from crop_core.records.region import Region
    from crop_core.records.trace import TokenTrace
    from ui.views.examples import Example

MAX_BYTES = 20_000_000  # of one file, unpacked
MAX_TOTAL_BYTES = 60_000_000  # bytes of all files together
MAX_FILES = 200  # in a zip
IMAGES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".mpo", ".heic", ".heif", ".hif", ".avif"),
    *(".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".ico", ".jp2"),
)
RECORDED = "A recorded run, from “{name}”{date}: made by {model}. "
ASK_AGAIN = "Its image, question, method and budget are in the fields: Run asks again, with the model that runs here."
OPENING = (
    "A recorded run of the first example, made by {model}. Click any example to run it, or give an image and a "
    "question."
)
STAND_IN = "{name} contains no image, and no image of its size was given with it; a grey placeholder is shown."


class TraceFileError(ValueError):
    """File that is not a recorded run; the message is one sentence."""


class EmbeddedImages(Record):
    """Images in a recorded run's file, beside its comparison: unchecked data URLs."""

    pictures: Annotated[list[str], limit(MAX_IMAGES)] = field(default_factory=list)


@dataclass
class LoadedRuns:
    """Runs in the chosen files. notices: messages for the user. complete: whether the last run has its own images."""

    runs: list[FinishedRun] = field(default_factory=list)
    complete: bool = False
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class SeparateImage:
    """Image given with the runs: its file's stem, its size, and the image, perhaps scaled down."""

    stem: str
    size: tuple[int, int]
    image: Image.Image


def open_files(paths: Sequence[str]) -> LoadedRuns:
    """Open every run in the files, in their order, at most MAX_RUNS; one notice for each other file.

    An image belongs to a run when its size or its stem is that of the run; of several images the first one's.
    """
    opened = LoadedRuns()
    records: list[tuple[str, bytes]] = []
    images: list[SeparateImage] = []
    left = MAX_TOTAL_BYTES
    for name, content in _parts(paths, opened.notices):
        left -= len(content)
        if left < 0:
            opened.notices.append(
                f"The files together have more than {MAX_TOTAL_BYTES // 1_000_000} MB; the rest was skipped."
            )
            break
        if name.lower().endswith(IMAGES):
            if len(images) < MAX_RUNS:
                _noting(opened.notices, name, lambda name=name, content=content: _keep(opened, name, content, images))
        else:
            records.append((name, content))
    for name, content in records[:MAX_RUNS]:
        _noting(opened.notices, name, lambda name=name, content=content: _add(opened, name, content, images))
    if len(records) > MAX_RUNS:
        opened.notices.append(
            f"Only the first {MAX_RUNS} of {len(records)} files were opened; the history keeps no more."
        )
    if not (opened.runs or opened.notices):
        opened.notices.append("No recorded run found; choose JSON files of recorded runs, or a zip of them.")
    return opened


def read(content: bytes, name: str = "The file") -> tuple[Comparison, list[str]]:
    """Parse one recorded run and its embedded images (unchecked data URLs).

    Raises TraceFileError for anything else: not JSON, another version's, inconsistent after editing.
    """
    try:
        result, embedded = Comparison.from_untrusted_json(content), EmbeddedImages.from_untrusted_json(content)
        texts.method_name(result.method)
        _fits(result)
    except (ValueError, OverflowError) as error:
        raise TraceFileError(f"{name} is not a recorded run: {error}") from None
    return result, embedded.pictures


def _fits(result: Comparison) -> None:
    """Check sizes that the records themselves do not compare."""
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


def _add(opened: LoadedRuns, name: str, content: bytes, separate: list[SeparateImage]) -> None:
    result, embedded = read(content, f"'{name}'")
    traces = result.crop.traces
    matched = _images(name, traces, embedded, separate)
    opened.complete = None not in matched
    if not opened.complete:
        opened.notices.append(STAND_IN.format(name=f"'{name}'"))
    images = tuple(image or stand_in(trace) for image, trace in zip(matched, traces, strict=True))
    date = f" of {result.made['date'][:10]}" if result.made.get("date") else ""
    hint = RECORDED.format(name=name, date=date, model=result.model) + (ASK_AGAIN if opened.complete else "")
    view = replace(finished_view(images, result), hint=hint)
    view.to_json()  # fails here for what cannot be drawn
    opened.runs.append(FinishedRun(images, result, view, file=name))


def _images(
    name: str, traces: Sequence[TokenTrace], embedded: Sequence[str], images: Sequence[SeparateImage]
) -> list[Image.Image | None]:
    """Image of each trace: the embedded one, or else a separate one, each used once."""
    matched: list[Image.Image | None] = [*_embedded(embedded[: len(traces)])]
    free = list(images)
    for trace in traces[len(matched) :]:
        one = _separate("" if matched else Path(name).stem, trace, free)
        free = [each for each in free if each is not one]
        matched.append(None if one is None else one.image)
    return matched


def finished_view(
    images: Sequence[Image.Image], result: Comparison, max_png_bytes: int = MAX_PNG_BYTES
) -> ExplorerState:
    """View of a finished run that cannot be asked again. images: those of the run, in any size. max_png_bytes: larger
    ones are JPEG.
    """
    sizes = [trace.image_size for trace in result.crop.traces]
    shown = tuple(
        ShownImage(data_url(image, max_png_bytes=max_png_bytes), size)
        for image, size in zip(images, sizes, strict=True)
    )
    view = ExplorerState(shown, result.question, result.method)
    answers = {"baseline": result.baseline.text, "crop": result.crop.text}
    return replace(view, stage="done", region=result.region, result=result, answers=answers, fixed=True)


def opening_example(examples: Sequence[Example]) -> Example | None:
    """The first example, where its recorded run lies beside its image."""
    return examples[0] if examples and examples[0].image.with_suffix(".json").is_file() else None


def opening_view(examples: Sequence[Example]) -> ExplorerState | None:
    """View of the recorded run that lies beside the first example's image; None where there is none.

    Raises TraceFileError for a file that is no recorded run.
    """
    if (example := opening_example(examples)) is None:
        return None
    path = example.image.with_suffix(".json")
    result, _ = read(path.read_bytes(), f"'{path.name}'")
    view = finished_view([open_image(example.image)], result, max_png_bytes=0)  # small: in every visitor's page
    return replace(view, stage="recorded", hint=OPENING.format(model=result.model))


def _keep(opened: LoadedRuns, name: str, content: bytes, images: list[SeparateImage]) -> None:
    image = open_image(content)
    images.append(SeparateImage(Path(name).stem, image.size, reduced(image)))
    opened.notices += [f"'{name}': {sentence}" for sentence in image_notices([image])]


def _embedded(urls: Sequence[str]) -> Iterator[Image.Image]:
    """Decode the embedded images, with a limit on their total size."""
    pixels = 0
    for url in urls:
        image = image_from_data_url(url)
        pixels += image.width * image.height
        if pixels > MAX_PIXELS:
            raise TraceFileError(f"Its images together have more than {MAX_PIXELS // 10**6} million pixels.")
        yield reduced(image)


def _separate(stem: str, trace: TokenTrace, images: Sequence[SeparateImage]) -> SeparateImage | None:
    """Image with this stem, or else one with the trace's size."""
    named = [each for each in images if each.stem == stem]
    sized = [each for each in images if each.size == tuple(trace.image_size)]
    return next(iter([*named, *sized]), None)


def stand_in(trace: TokenTrace) -> Image.Image:
    """Grey image of the trace's shape."""
    width, height = trace.image_size
    scale = min(1.0, 1024 / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return Image.fromarray(np.full((size[1], size[0], 3), 200, np.uint8))


def _noting(notices: list[str], name: str, work: Any) -> None:
    """Run `work`; a ValueError becomes a notice with the file's name."""
    try:
        work()
    except ValueError as error:
        text = str(error)
        notices.append(text if name in text else f"'{name}': {text}")


def _parts(paths: Sequence[str], notices: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every file, those inside zips too."""
    for path in paths:
        name = _readable(path)
        content = Path(path).read_bytes() if Path(path).stat().st_size <= MAX_BYTES else None
        if content is None:
            notices.append(f"'{name}' has more than {MAX_BYTES // 1_000_000} MB; choose a smaller file.")
        elif zipfile.is_zipfile(io.BytesIO(content)):
            yield from _unpacked(name, content, notices)
        else:
            yield name, content


def _readable(path: str) -> str:
    """File name for a message: printable, its middle left out when long."""
    name = "".join(letter if letter.isprintable() else "?" for letter in Path(path).name)
    return name if len(name) <= MAX_REPR else f"{name[: MAX_REPR // 2]}…{name[-MAX_REPR // 2 :]}"


def _unpacked(name: str, content: bytes, notices: list[str]) -> Iterator[tuple[str, bytes]]:
    """Content of a zip, at most MAX_BYTES in all, whatever its directory says."""
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entries = [each for each in packed.infolist() if each.filename.lower().endswith((".json", *IMAGES))]
            for entry in entries[:MAX_FILES]:
                with packed.open(entry) as stream:
                    part = stream.read(left + 1)
                left -= len(part)
                if left < 0:
                    raise TraceFileError(f"it holds more than {MAX_BYTES // 1_000_000} MB")
                yield _readable(entry.filename), part
    except TraceFileError as error:
        notices.append(f"'{name}' cannot be unpacked: {error}.")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        notices.append(f"'{name}' cannot be unpacked: it is damaged, or its compression is not supported.")
