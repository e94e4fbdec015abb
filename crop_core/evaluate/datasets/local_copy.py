"""Local copy of a dataset: its files and its folder of images. Knows nothing of any layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crop_core.evaluate.datasets.protocol import DatasetError
from crop_core.io.row_reader import Skipped


@dataclass
class LocalCopy:
    """path: the folder of the unpacked download, or one file of it. split: the requested part, "" where there are none.
    images: the folder of the images, if another. boxes: what the boxes of rows mean, as the form of a `BoxReader`.
    skipped: rows that could not be used.
    """

    path: Path
    split: str = ""
    images: Path | None = None
    boxes: str | None = None
    skipped: Skipped = field(default_factory=Skipped)

    def __post_init__(self) -> None:
        for path in (self.path, self.images):
            if path is not None and not path.exists():
                raise DatasetError(f"There is no '{path}'; give the folder of the unpacked download.")

    @property
    def folder(self) -> Path:
        """The folder that `path` is, or lies in."""
        return self.path if self.path.is_dir() else self.path.parent

    def file(self, *names: str) -> Path:
        """The first of these files (relative paths) in the folder or the one above it; DatasetError without one."""
        if not self.path.is_dir():
            raise DatasetError(f"'{self.path}' is a file; give the folder of the unpacked download.")
        return self._first(names, Path.is_file, "file", "")

    def subfolder(self, *names: str, more: str = "") -> Path:
        """The first of these folders, likewise."""
        return self._first(names, Path.is_dir, "folder", more)

    def image_folder(self, *names: str) -> Path:
        """The folder of images: `images`, or the first of these; DatasetError without one."""
        return self.images or self.subfolder(*names, more=", or the folder of the images with --images")

    def _first(self, names: Sequence[str], fits: Callable[[Path], bool], what: str, more: str) -> Path:
        paths = (base / name for base in (self.folder, self.folder.parent) for name in names)
        path = next((each for each in paths if fits(each)), None)
        if path is None:
            tried = " or ".join(f"'{name}'" for name in names)
            raise DatasetError(
                f"There is no {what} {tried} in '{self.folder}'; give the folder of the unpacked download{more}."
            )
        return path


def read_json(file: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The value of a JSON file. hook: `object_hook` of `json.load`."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            return json.load(opened, object_hook=hook)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError too
        raise DatasetError(f"'{file}' is no JSON ({error}); download it again.") from error
    except OSError as error:
        raise DatasetError(f"'{file}' cannot be read: {error.strerror or error}.") from error


@contextmanager
def published(file: Path) -> Iterator[None]:
    """Turn the errors of a file that is not laid out as published into one DatasetError."""
    try:
        yield
    except DatasetError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise DatasetError(
            f"'{file}' is not laid out as published ({type(error).__name__}: {error}); give the original file."
        ) from error
