"""`sheet` of the command line: questions about images, from a file, by several methods at one budget. Errors as in
main.py.

torch is imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.cli.figure_options import add_figure_options, check_figure_options, look, write_csv, write_figure
from crop_core.cli.options import add_model_options, add_run_options, load_engine, run_config
from crop_core.io.output_files import check_output, write_output
from crop_core.records.comparison_table import columns
from crop_core.records.config import ConfigError
from crop_core.records.formatting import format_number, format_probability
from crop_core.records.localizers import NONE, WHOLE
from crop_core.records.region import Region
from crop_core.records.sheet import Sheet, SheetRequest, SheetRow, run_row, sheet_specs

if TYPE_CHECKING:
    from crop_core.records.results import RunSpec

METHODS = "crop,fastv,divprune,random"
EXAMPLE = """examples:
  python -m crop_core sheet questions.csv --budget 64 --figure sheet.pdf --csv sheet.csv --latex sheet.tex
  python -m crop_core sheet questions.jsonl --methods crop,plc+fastv --figure sheet.svg --width 8.5 --html reports
"""
ABOUT = """Answers every question of a file about its image, once with every visual token and once by every method, all
at one budget, and shows them in one figure and one table. A row of the file has "image" (a path relative to the file)
and "question"; CSV, TSV, JSON and Parquet are read as `bench files` reads them."""


def add_command(commands: Any) -> None:
    """The command `sheet`, on the subparsers of the command line."""
    parser = commands.add_parser(
        "sheet",
        help="compare methods on several images in one figure and table",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="rows of image and question")
    methods = f"comma-separated names, two joined as in plc+fastv (default: {METHODS})"
    parser.add_argument("--methods", metavar="NAMES", default=METHODS, help=methods)
    add_run_options(parser)
    add_model_options(parser)
    add_figure_options(parser, "a line an image and a column a method", "every run of every image")
    parser.add_argument("--latex", metavar="FILE", help="write the table for LaTeX, as .tex")
    html = "write the interactive report of each image by the first method into this folder, with costs measured for it"
    parser.add_argument("--html", metavar="FOLDER", type=Path, help=html)
    parser.set_defaults(run=_sheet)


def _sheet(arguments: argparse.Namespace) -> None:
    """Cheap checks first, as in `ask`."""
    config = run_config(arguments)
    specs = sheet_specs(arguments.methods, config)
    check_figure_options(arguments)
    check_output(arguments.latex, "LaTeX table", (".tex",))
    _check_folder(arguments.html)
    reads_region = any(spec.config.parts.needs_region for spec in specs)
    if reads_region and arguments.localizer == NONE:
        raise ConfigError("--localizer none predicts no region, and a method needs one; choose another localizer.")
    requests = _requests(arguments.file, arguments.localizer == WHOLE)
    engine = load_engine(arguments, arguments.localizer if reads_region else NONE)
    rows = []
    for request in requests:
        rows.append(run_row(engine, request, specs))
        print("\n".join(_printed(rows[-1])), end="\n\n")
        if arguments.html:
            _write_report(engine, rows[-1], specs[0], arguments.html / f"{len(rows):02d}.html")
    _write(arguments, Sheet.of(rows, config))


def _requests(file: Path, whole: bool) -> list[SheetRequest]:
    """The rows of the file; those that cannot be used are told on standard error."""
    from crop_core.evaluate.datasets import files
    from crop_core.evaluate.datasets.local_copy import LocalCopy

    copy = LocalCopy(file)
    examples = files.load(copy)
    if copy.skipped.count:
        print(f"crop_core: {copy.skipped}", file=sys.stderr)
    opened = [(example, example.open()) for example in examples]
    return [
        SheetRequest(image, example.question, Region.whole(*image.size) if whole else None, Path(example.group).name)
        for example, image in opened
    ]


def _check_folder(folder: Path | None) -> None:
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"The folder '{folder}' cannot be made: {error.strerror or error}.") from error


def _printed(row: SheetRow) -> list[str]:
    """Lines of a row for the terminal."""
    head = ("", "Answer", "Same", "Probability of the baseline's", "Tokens")
    runs = [
        (
            each.name,
            each.text,
            "yes" if each.same else "no",
            format_probability(each.answer_probability),
            format_number(each.trace.mean_tokens),
        )
        for each in row.results
    ]
    errors = [f"{each.name}: {each.why}" for each in row.errors]
    return [f"{row.name}: {row.question}" if row.name else row.question, *columns([head, *runs]), *errors]


def _write_report(engine: Any, row: SheetRow, spec: RunSpec, target: Path) -> None:
    """The report of a row by one method, in the region of its run; a method that failed has none."""
    run = row.by_name.get(spec.name)
    if run is not None:
        result = engine.compare(row.image, row.question, spec.config, run.region)
        write_output(result.report().encode(), target, "report")


def _write(arguments: argparse.Namespace, sheet: Sheet) -> None:
    if arguments.figure:
        write_figure(sheet.figure(arguments.width, **look(arguments)), arguments.figure)
    if arguments.csv:
        write_csv(sheet.csv(), arguments.csv)
    if arguments.latex:
        write_output(sheet.latex().encode(), arguments.latex, "LaTeX table")
