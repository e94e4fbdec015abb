"""Comparison sheet: n images with a question each, by m methods at one budget, as figure and tables.

`run_row` runs a row over any engine. Knows nothing of torch; figures are drawn by `ui`, see `crop_core.records.views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

from crop_core.records.config import AS_GIVEN, ConfigError, CropConfig
from crop_core.records.cost import gflop
from crop_core.records.formatting import counted, format_number, truncated_repr
from crop_core.records.latex import escaped, tabular
from crop_core.records.methods import method_of
from crop_core.records.region import Region
from crop_core.records.request import Engine, EngineRequest
from crop_core.records.results import RunError, RunResult, RunSpec
from crop_core.records.tables import MIB, Row, csv_text, data_frame, run_rows
from crop_core.records.views import drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HEAD = ("Method", "Answer", "Same", r"$p$ (\%)", "Tokens", "KV (MiB)", "GFLOP")


@dataclass(frozen=True, eq=False)
class SheetRequest:
    """A question about an RGB image. region: for methods that read one, None to predict it. name: of the image."""

    image: Image.Image
    question: str
    region: Region | None = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One question about an RGB image in many runs. results: the baseline first. name: of the image."""

    image: Image.Image
    question: str
    results: tuple[RunResult, ...]
    errors: tuple[RunError, ...] = ()
    name: str = ""

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the runs after the baseline, those that failed last."""
        return (*(each.name for each in self.results[1:]), *(each.name for each in self.errors))

    @property
    def by_name(self) -> dict[str, RunResult]:
        """Results by their run's name."""
        return {each.name: each for each in self.results}


@dataclass(frozen=True, eq=False)
class Sheet:
    """Rows with the same methods at the same budget. budget: as text. Raises ConfigError without a row."""

    rows: tuple[SheetRow, ...]
    budget: str

    def __post_init__(self) -> None:
        if not self.rows:
            raise ConfigError("A comparison sheet has no rows; give at least one image with a question.")

    @classmethod
    def of(cls, rows: Sequence[SheetRow], config: CropConfig) -> Sheet:
        """Sheet of runs by the config's budget."""
        return cls(tuple(rows), str(config.budget or AS_GIVEN))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the columns: those of the runs, the baseline first."""
        first = self.rows[0].results[0].name
        return tuple(dict.fromkeys((first, *(name for row in self.rows for name in row.methods))))

    @property
    def runs(self) -> list[Row]:
        """Every run of every image, columns as in `crop_core.records.tables.run_rows`."""
        about = [{"image": row.name, "question": row.question, "budget": self.budget} for row in self.rows]
        pairs = zip(self.rows, about, strict=True)
        return [each for row, first in pairs for each in run_rows(row.results, row.errors, **first)]

    def figure(self, width: float = 17.5, **options: Any) -> Figure:
        """One figure of all: a line an image, a column a method. width: centimetres. options: captioned, font,
        font_size and outlines as of `Comparison.figure`.
        """
        figure: Figure = drawing("sheet_figure")(self, width, options)
        return figure

    def caption(self) -> str:
        """Caption of the figure, a sentence for a paper; `crop_core.records.latex.escaped` makes LaTeX of it."""
        caption: str = drawing("sheet_caption")(self)
        return caption

    def table(self) -> pd.DataFrame:
        """`runs` as a DataFrame."""
        return data_frame(self.runs)

    def csv(self) -> str:
        """`runs` as CSV."""
        return csv_text(self.runs)

    def latex(self) -> str:
        """A LaTeX table, with the rules of booktabs: a group of lines an image, a line a method."""
        groups = [[_heading(row), *map(_line, row.results), *map(_failed, row.errors)] for row in self.rows]
        return tabular(HEAD, groups, "llcrrrr")

    def _repr_html_(self) -> str:
        return str(self.table().to_html(index=False))  # pandas escapes the texts

    def __repr__(self) -> str:
        return f"Sheet({counted(len(self.rows), 'image')}, methods={list(self.methods)}, budget={self.budget!r})"


def sheet_specs(methods: Sequence[str] | str, config: CropConfig) -> list[RunSpec]:
    """A run of each method, by the other settings of the config. methods: names, or one text of them with commas.

    Raises ConfigError for unknown methods, methods that prune nothing, and for none.
    """
    names = methods.split(",") if isinstance(methods, str) else methods
    specs = [
        RunSpec(method_of(name.strip()).title, replace(config, method=name.strip())) for name in dict.fromkeys(names)
    ]
    for spec in specs:
        if not spec.config.parts.prunes:
            raise ConfigError(
                f"The method {truncated_repr(spec.config.method)} prunes nothing; leave it out, as every sheet has "
                "the baseline."
            )
    if not specs:
        raise ConfigError("No method is given; name at least one, such as crop.")
    return specs


def run_row(engine: Engine, request: SheetRequest, specs: Sequence[RunSpec]) -> SheetRow:
    """Run one row. Errors as the engine's; a run that cannot be is an error of the row."""
    about = (request.image,), request.question, specs[0].config, (request.region,)
    done = list(engine.stream(EngineRequest[Any]("run_many", *about, specs=tuple(specs))))
    results = tuple(each for each in done if isinstance(each, RunResult))
    errors = tuple(each for each in done if isinstance(each, RunError))
    return SheetRow(request.image, request.question, results, errors, request.name)


def _heading(row: SheetRow) -> list[str]:
    about = f"{row.name}: {row.question}" if row.name else row.question
    return [rf"\multicolumn{{{len(HEAD)}}}{{l}}{{{escaped(about)}}}"]


def _line(result: RunResult) -> list[str]:
    work = gflop(result.flops, result.localizer_flops)
    numbers = (
        f"{100 * result.answer_probability:.1f}",
        format_number(result.trace.mean_tokens),
        f"{result.kv_bytes / MIB:.1f}",
        "--" if work is None else f"{work:.2f}",  # not counted
    )
    same = "yes" if result.same else "no"
    return [escaped(result.name), escaped(result.text), same, *numbers]


def _failed(error: RunError) -> list[str]:
    return [escaped(error.name), rf"\multicolumn{{{len(HEAD) - 1}}}{{l}}{{{escaped(error.why)}}}"]
