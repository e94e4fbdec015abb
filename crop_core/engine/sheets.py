"""Comparison sheets by an engine, in Python: many images by many methods at one budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.engine.request_checks import config_of, open_images
from crop_core.io.images import ImageLike, check_question
from crop_core.records.sheet import Sheet, SheetRequest, run_row, sheet_specs

if TYPE_CHECKING:
    import pandas as pd

    from crop_core.records.region import Region
    from crop_core.records.request import Engine

Methods = Sequence[str] | str  # names, or one text of them with commas


class Sheets:
    """Methods of an engine."""

    def sheet(
        self: Engine, questions: Iterable[tuple[ImageLike, str]], methods: Methods = "crop", **settings: Any
    ) -> Sheet:
        """Every question about its image by every method, with one budget and one run each, and the baseline beside.

        settings: as of `CropEngine.compare`. Errors as `CropEngine.run_many`.
        """
        return run_sheet(self, [sheet_request(image, question) for image, question in questions], methods, settings)

    def compare_methods(
        self: Engine,
        image: ImageLike,
        question: str,
        methods: Methods = "crop",
        region: Region | None = None,
        **settings: Any,
    ) -> pd.DataFrame:
        """The table of `sheet` for one image: a row for the baseline and for each method.

        region: for methods that read one, None to have it predicted.
        """
        return run_sheet(self, [sheet_request(image, question, region)], methods, settings).table()


def run_sheet(engine: Engine, requests: Sequence[SheetRequest], methods: Methods, settings: dict[str, Any]) -> Sheet:
    """Run all rows."""
    config = config_of(None, settings)
    specs = sheet_specs(methods, config)
    return Sheet.of([run_row(engine, request, specs) for request in requests], config)


def sheet_request(image: ImageLike, question: str, region: Region | None = None) -> SheetRequest:
    """Request of a row, called like its image's file."""
    (opened,) = open_images([image])
    name = Path(image).name if isinstance(image, (str, PathLike)) else ""
    return SheetRequest(opened, check_question(question), region, name)
