"""`ask` of the command line: answer a question about an image with every visual token and pruned. Errors as in main.py.

torch is imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import Any

from crop_core.cli.figure_options import add_figure_options, check_figure_options, look, write_csv, write_figure
from crop_core.cli.options import (
    Deprecated,
    add_model_options,
    add_run_options,
    load_engine,
    print_deprecation,
    run_config,
)
from crop_core.io.data_url import data_url
from crop_core.io.images import check_question, open_image
from crop_core.io.json_output import check_json_path, write_json
from crop_core.io.output_files import check_output, write_output
from crop_core.records.comparison_table import comparison_table
from crop_core.records.config import ConfigError, CropConfig
from crop_core.records.localizers import NONE, WHOLE, comparable_localizers
from crop_core.records.methods import method_of, pruning_methods
from crop_core.records.region import Region, numbers_in
from crop_core.records.tables import comparison_rows, csv_text

EXAMPLE = """examples:
  python -m crop_core ask image.png "what is left of the dog?"
  python -m crop_core ask image.png "how many cats are there?" --budget 64 --method ilp
  python -m crop_core ask image.png "what does the sign say?" --box 40,30,200,180 --json answer.json
  python -m crop_core ask image.png "what does the sign say?" --figure sign.pdf --width 8.5 --html sign.html
  python -m crop_core ask first.png "what differs?" --also second.png --then "which one is larger?" --model NAME
"""


def add_command(commands: Any) -> None:
    """The command `ask`, on the subparsers of the command line."""
    parser = commands.add_parser(
        "ask",
        help="ask a question about an image, with every visual token and with CROP",
        description="Answers twice, with every visual token (the baseline) and with CROP, and shows what CROP saved.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _input_arguments(parser)
    _method_arguments(parser)
    add_model_options(parser)
    parser.add_argument("--locator", metavar="NAME", action=Deprecated, new="--localizer")
    parser.add_argument("--compiled", action="store_true", help="run parts of the model compiled, on a GPU")
    _output_arguments(parser)
    parser.set_defaults(run=_ask)


def _input_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="file of an image (PNG, JPEG, HEIC, WebP, GIF, TIFF, ...)")
    parser.add_argument("question", metavar="QUESTION", help="what to ask, up to 500 characters")
    also = "another image that the question is about; may be repeated"
    parser.add_argument("--also", metavar="IMAGE", action="append", default=[], help=also)
    then = "a further question about the same images, after the answer to the one before; may be repeated"
    parser.add_argument("--then", metavar="QUESTION", action="append", default=[], help=then)
    box = "draw the region yourself: left,top,right,bottom in pixels; once for each image, in their order"
    parser.add_argument("--box", metavar="x0,y0,x1,y1", action="append", default=[], help=box)


def _method_arguments(parser: argparse.ArgumentParser) -> None:
    methods = ", ".join(pruning_methods())
    method = f"what to prune with: {methods}, or two joined as in plc+fastv (default: crop)"
    parser.add_argument("--method", type=_method, metavar="NAME", default="crop", help=method)
    add_run_options(parser)


def _output_arguments(parser: argparse.ArgumentParser) -> None:
    default = CropConfig()
    repeats = (
        "runs of each: one that answers, and N-1 that are timed in turn "
        f"(default: {default.repeats}, fewer where they take more than {default.measure_s:g} s)"
    )
    parser.add_argument("--repeats", type=int, metavar="N", help=repeats)
    parser.add_argument("--json", metavar="FILE|-", help="write everything as one JSON object; -: print only that")
    add_figure_options(parser, "region, compressed and pruned tokens", "both runs with their costs")
    parser.add_argument("--html", metavar="FILE", help="write the interactive report as one page that needs no network")
    embed = "with --json: put the images inside, so that the app opens the file by itself"
    parser.add_argument("--with-image", action="store_true", help=embed)
    old: dict[str, Any] = {"dest": "with_image", "nargs": 0, "const": True, "default": False}
    parser.add_argument("--with-picture", action=Deprecated, new="--with-image", **old)


def _method(name: str) -> str:
    """A method's name, but not the baseline's: every question is answered with every token as well."""
    try:
        parts = method_of(name)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not parts.prunes:
        raise argparse.ArgumentTypeError(f"The method {name!r} prunes nothing; choose one that does, such as crop.")
    return name


def _ask(arguments: argparse.Namespace) -> None:
    """Cheap checks first, so that a typing error does not wait for a model to load."""
    questions = [check_question(text) for text in (arguments.question, *arguments.then)]
    images = [open_image(path) for path in (arguments.image, *arguments.also)]
    localizer = _localizer(arguments)
    regions = _regions(arguments.box, [image.size for image in images], localizer == WHOLE)
    repeats = {} if arguments.repeats is None else {"repeats": arguments.repeats, "measure_s": math.inf}
    config = run_config(arguments, method=arguments.method, **repeats)
    if arguments.with_image and not arguments.json:
        raise ValueError("--with-image puts the images into a JSON file; give --json FILE too.")
    check_json_path(arguments.json)
    check_output(arguments.html, "report", (".html",))
    check_figure_options(arguments)
    needs_localizer = None in regions and config.parts.needs_region
    if needs_localizer and localizer == NONE:
        raise ValueError(
            f"--localizer none predicts no region, and the method {arguments.method!r} needs one for each image; draw "
            "it by --box, or choose another localizer or method."
        )
    engine = load_engine(arguments, localizer if needs_localizer else NONE)
    if arguments.then and not engine.keeps_history:
        raise ValueError(
            "This model reads no earlier turns, so that --then asks it nothing new; ask one question at a time."
        )
    history: list[tuple[str, str]] = []
    for question in questions:
        result = engine.compare(images, question, config, regions, history=history)
        result = replace(result, localizer=localizer if localizer in comparable_localizers() else result.localizer)
        history = [*history, (question, result.baseline.text)]
        if arguments.json != "-":
            print(comparison_table(result), end="\n" if question is questions[-1] else "\n\n")
    _write(arguments, result, images)


def _write(arguments: argparse.Namespace, result: Any, images: list[Any]) -> None:
    """The files that were asked for, of the last question."""
    if arguments.figure:
        write_figure(result.figure(width=arguments.width, **look(arguments)), arguments.figure)
    if arguments.csv:
        write_csv(csv_text(comparison_rows(result)), arguments.csv)
    if arguments.html:
        write_output(result.report().encode(), arguments.html, "report")
    if arguments.json:
        embedded = {"pictures": [data_url(image) for image in images]} if arguments.with_image else {}
        write_json({**result.to_json(), **embedded}, arguments.json)


def _localizer(arguments: argparse.Namespace) -> str | None:
    """--localizer, None for the default; in the previous version it was `grid` or `whole`, and a name was --locator."""
    name = arguments.localizer
    if name == "grid":
        print_deprecation("--localizer grid", "the default")
        name = None
    if arguments.locator is None or name == WHOLE:
        return name
    if name is not None:
        raise ValueError("--locator is now --localizer; give only one of the two.")
    return arguments.locator


def _regions(boxes: list[str], sizes: list[tuple[int, int]], whole: bool) -> list[Region | None]:
    """The drawn region of every image; without a box the whole image, or None, which leaves it to the localizer."""
    if len(boxes) > len(sizes):
        raise ValueError(f"There are {len(boxes)} boxes for {len(sizes)} image(s); give at most one for each.")
    drawn = [Region.from_box(numbers_in(box), *size) for box, size in zip(boxes, sizes, strict=False)]
    return [*drawn, *(Region.whole(*size) if whole else None for size in sizes[len(boxes) :])]
