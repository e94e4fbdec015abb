"""`localizer calibrate` of the command line. Errors as in main.py.

torch is imported only once the arguments and the rows make sense.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crop_core.cli.localizer_rows import add_data_arguments, load_adapter, print_skipped, usable_examples
from crop_core.io.output_files import check_output, write_output
from crop_core.records.comparison_table import columns
from crop_core.records.formatting import truncated_repr
from crop_core.train.localizer.calibration_questions import drawn_questions, questions_of_rows
from crop_core.train.localizer.settings import CalibrationSettings, TuneError

QUESTIONS = 1500  # about drawn scenes
ABOUT = """Finds out which attention heads of a model look at the region of the answer, on scenes that are drawn here or
on rows with boxes, and keeps that as a profile in the user's cache, which --localizer self and auto load from then on.
Drawn scenes prove nothing about photographs; rows prove it for images like theirs. The same command goes on where it
was stopped."""
EXAMPLE = """examples:
  python -m crop_core localizer calibrate --model llava-hf/llava-1.5-7b-hf
  python -m crop_core localizer calibrate --model my-model rows.jsonl --html report.html
"""


def add_calibrate(commands: Any) -> None:
    """The subcommand, on the subparsers of `localizer`."""
    parser = commands.add_parser(
        "calibrate",
        help="fit which attention heads of a model find the region",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = "answering model: bundled name, folder or hub id"
    parser.add_argument("--model", metavar="NAME", required=True, help=model)
    add_data_arguments(parser, "questions about drawn scenes")
    parser.add_argument("--quantize", choices=["8bit", "4bit"], help="fewer bits a weight, by bitsandbytes")
    asked = f"questions about drawn scenes, rounded up to as many of each kind (default: {QUESTIONS})"
    parser.add_argument("--questions", type=int, metavar="N", default=QUESTIONS, help=asked)
    parser.add_argument("--layers", type=int, metavar="N", help="first layers to read (default: half of them)")
    side = "the visual tokens are pooled to N x N before they are read; of several, as in 8,24, the best (default: 8)"
    parser.add_argument("--side", metavar="N[,N]", default="8", help=side)
    coverage = "share of the regions that are to be covered (default: 0.8)"
    parser.add_argument("--coverage", type=float, metavar="X", default=0.8, help=coverage)
    parser.add_argument("--html", metavar="FILE", type=Path, help="write the report here (default: beside the profile)")
    parser.set_defaults(run=_calibrate)


def _sides(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise TuneError(f"--side is {truncated_repr(text)}, and must be whole numbers, such as 8 or 8,24.") from None


def _calibrate(arguments: argparse.Namespace) -> None:
    """Cheap checks first, as in `ask`."""
    check_output(arguments.html, "HTML file")
    settings = CalibrationSettings(arguments.layers, _sides(arguments.side), arguments.coverage)
    rows = None if arguments.data is None else usable_examples(arguments)
    if rows is None and (arguments.images or arguments.boxes or arguments.limit):
        raise TuneError("--images, --boxes and --limit are about rows; give a file with rows, or leave them out.")
    questions, source = questions_of_rows(rows) if rows else drawn_questions(arguments.questions)
    from crop_core.train.localizer.calibrate import calibrate, readings_file
    from crop_core.train.localizer.calibration_page import HEAD, calibration_page, sentences, table_rows

    adapter = load_adapter(arguments)
    try:
        result = calibrate(adapter, questions, source, settings)
    except KeyboardInterrupt:
        kept = f"Interrupted; what was read is in '{readings_file(adapter)}', and the same command goes on from there."
        raise KeyboardInterrupt(kept) from None
    print_skipped(result.skipped, "questions")
    text = adapter.model.config.text_config
    page = calibration_page(result, text.num_hidden_layers, text.num_attention_heads)
    report = arguments.html or result.file.with_suffix(".html")
    write_output(page.encode(), report, "HTML file")
    print("\n".join([*columns([HEAD, *table_rows(result.compared)]), "", *sentences(result)]))
    print(f"Saved as {result.file}, which --localizer self loads; report: {report}")
