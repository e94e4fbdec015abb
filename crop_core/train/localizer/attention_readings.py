"""A model's attention on many questions, kept in a file as it is read, so that a stopped run goes on from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from crop_core.io.row_reader import Skipped
from crop_core.localize.self_attention.attention_rule import AttentionTerm
from crop_core.localize.self_attention.localizer import attention_features
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.localize.self_attention.profiles import cannot_write
from crop_core.models import Adapter
from crop_core.records.region import GRID
from crop_core.train.localizer.calibration_questions import CalibrationQuestion
from crop_core.train.localizer.settings import TuneError

MAX_SKIPPED = 20  # questions, without any that was read, after which a run fails
Shares = NDArray[np.float32]


@dataclass(frozen=True)
class AttentionReadings:
    """The file holds a line of JSON, which says what is read, then (64, T) float32 a question, NaN for a skipped one.

    plan: what a run that goes on must share with its start. terms: T.
    """

    file: Path
    plan: Mapping[str, Any]
    terms: int

    def begin(self) -> int:
        """Make or open the file; the number of questions that it holds. TuneError for a file of something else, and for
        one that cannot be written.
        """
        try:
            if not self.file.is_file():
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.write_bytes(self._head)
            with self.file.open("rb") as stream:
                self._check(stream.readline(2 * len(self._head)))
            done = (self.file.stat().st_size - len(self._head)) // self._bytes
            os.truncate(self.file, len(self._head) + done * self._bytes)  # a torn question is read again
        except OSError as error:
            raise cannot_write(self.file.parent, error) from error
        return done

    def append(self, shares: Shares) -> None:
        """Keep one more question's (64, T)."""
        with self.file.open("ab") as stream:
            stream.write(np.ascontiguousarray(shares, dtype=np.float32).tobytes())

    def read(self) -> Shares:
        """(Q, 64, T) of all questions."""
        values = np.fromfile(self.file, np.float32, offset=len(self._head))
        return values.reshape(-1, GRID * GRID, self.terms)

    @property
    def _head(self) -> bytes:
        return json.dumps(self.plan).encode() + b"\n"

    @property
    def _bytes(self) -> int:
        return GRID * GRID * self.terms * np.dtype(np.float32).itemsize

    def _check(self, line: bytes) -> None:
        if line == self._head:
            return
        try:
            before = dict(json.loads(line))
        except (ValueError, TypeError):
            before = {}
        name = next((name for name, value in self.plan.items() if before.get(name) != value), "plan")
        raise TuneError(
            f"'{self.file}' holds a calibration that was stopped, and is of the {name} {before.get(name)!r}, not "
            f"{self.plan.get(name)!r}; give the same rows and options, or delete it to start again."
        )


def read_attention(
    adapter: Adapter,
    questions: Sequence[CalibrationQuestion],
    terms: Sequence[AttentionTerm],
    sides: Sequence[int],
    readings: AttentionReadings,
    skipped: Skipped,
) -> Shares:
    """(Q, 64, S x T) of all questions, at each of S sides of the pooled grid: those that the file lacks are read, with
    a progress line on stderr.

    An image is encoded once for its questions that follow each other. Those that cannot be read are skipped; their
    values are NaN. Raises the error of a question where the first MAX_SKIPPED are all skipped, or all.
    """
    done = readings.begin()
    image, encoded = None, None
    for number, each in enumerate(tqdm(questions, "attention", mininterval=5, leave=None)):
        if number < done:
            continue
        try:
            if image is None or each.image != questions[number - 1].image:
                image, encoded = each.open(), None
            prepared = adapter.prepare(image, each.question)
            encoded = adapter.encode(prepared) if encoded is None else encoded
            grids = [PooledGrid.of(adapter.layout(image.size), side) for side in sides]
            read = [attention_features(adapter, prepared, encoded, grid, terms) for grid in grids]
            shares = np.concatenate(read).T
        except ValueError as error:
            image = None
            skipped.add(each.image, error)
            if done == 0 and skipped.count == number + 1 >= min(MAX_SKIPPED, len(questions)):
                readings.file.unlink()
                raise
            shares = np.full((GRID * GRID, readings.terms), np.nan, np.float32)
        readings.append(shares)
    return readings.read()
