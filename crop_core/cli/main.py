"""The command line: `ask` one question with and without CROP, `models` lists what can be loaded, `localizer` (in
crop_core/cli/localizer.py) trains and measures localizers, `bench` (in crop_core/cli/bench.py) measures methods,
`check` (in crop_core/cli/check.py) proves that pruning is exact.

Bad input is one sentence on stderr and exit code 2, an interrupt one and 130. torch is imported only once the arguments
make sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from crop_core.cli import check
from crop_core.cli.bench import add_command
from crop_core.cli.localizer import add_commands
from crop_core.io.data_url import data_url
from crop_core.io.images import check_question, open_image
from crop_core.io.json_output import check_json_path, write_json
from crop_core.records.comparison_table import columns, comparison_table
from crop_core.records.config import METHODS, Budget, ConfigError, CropConfig, IlpConfig, method_of
from crop_core.records.region import Region

BAD_INPUT = 2  # the exit code of argparse
INTERRUPTED = 130  # of a shell, for Ctrl-C
EXAMPLE = """examples:
  python -m crop_core ask image.png "what is left of the dog?"
  python -m crop_core ask image.png "how many cats are there?" --budget 64 --method ilp
  python -m crop_core ask image.png "what does the sign say?" --box 40,30,200,180 --json answer.json
  python -m crop_core ask first.png "what differs?" --also second.png --then "which one is larger?" --model NAME
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 when a proof failed, 2 for bad input, or 130 when
    interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except ValueError as error:  # every error about what the user gave is one, with one sentence
        print(f"crop_core: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print(f"crop_core: {str(stop) or 'Interrupted; files that were downloaded whole are kept.'}", file=sys.stderr)
        return INTERRUPTED


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help tells more).\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m crop_core", description="Visual token pruning by contextual region (CROP).")
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)
    models = commands.add_parser("models", help="list what can be loaded")
    models.set_defaults(run=_models)
    ask = commands.add_parser(
        "ask",
        help="ask a question about an image, with every visual token and with CROP",
        description="Answers twice, with every visual token and with CROP, and shows what CROP saved.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _ask_arguments(ask)
    ask.set_defaults(run=_ask)
    add_commands(commands)
    add_command(commands)
    check.add_command(commands)
    return parser


def _ask_arguments(ask: argparse.ArgumentParser) -> None:
    ask.add_argument("image", metavar="IMAGE", help="file of an image (PNG, JPEG, WebP, GIF, TIFF, BMP, ...)")
    ask.add_argument("question", metavar="QUESTION", help="what to ask, up to 500 characters")
    default = str(CropConfig().budget).replace("%", "%%")
    budget = f"mean number of visual tokens per layer (64), or a share of all (25%%); default: {default}"
    methods = ", ".join(name for name in METHODS if name != "none")
    method = f"what to prune with: {methods}, or two joined as in plc+fastv (default: crop)"
    regions = ["grid", "whole"]
    ask.add_argument("--budget", metavar="N|P%", help=budget)
    ask.add_argument("--method", type=_method, metavar="NAME", default="crop", help=method)
    ask.add_argument("--localizer", choices=regions, default="grid", help="grid: the locator model; whole: no region")
    box = "draw the region yourself: left,top,right,bottom in pixels; once for each image, in their order"
    ask.add_argument("--box", metavar="x0,y0,x1,y1", action="append", default=[], help=box)
    more = "another image that the question is about; may be repeated"
    ask.add_argument("--also", metavar="IMAGE", action="append", default=[], help=more)
    then = "a further question about the same images, after the answer to the one before; may be repeated"
    ask.add_argument("--then", metavar="QUESTION", action="append", default=[], help=then)
    evict = "free the dropped tokens' keys and values in the layers before the last cut too"
    ask.add_argument("--evict", action="store_true", help=evict)
    ask.add_argument("--seed", type=int, default=0, metavar="N", help="of the tokens that --method random keeps (0)")
    ask.add_argument("--model", metavar="NAME", help="answering model: bundled name, folder or hub id")
    ask.add_argument("--locator", metavar="NAME", help="localizer, named like the model, or self: the answering model")
    ask.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ..., or auto: all (default: cuda or cpu)")
    ask.add_argument("--dtype", metavar="DTYPE", help="float32, bfloat16 or float16 (default: what suits the device)")
    ask.add_argument("--quantize", choices=["8bit", "4bit"], help="fewer bits a weight, by bitsandbytes")
    ask.add_argument("--compiled", action="store_true", help="run parts of the model compiled, on a GPU")
    ask.add_argument("--repeats", type=int, default=2, metavar="N", help="runs of each, first a warm-up (default: 2)")
    ask.add_argument("--json", metavar="FILE|-", help="write everything as one JSON object; -: print only that")
    embed = "with --json: put the images inside, so that the app opens the file by itself"
    ask.add_argument("--with-picture", action="store_true", help=embed)


def _method(name: str) -> str:
    """A name that is a method's, but "none": every answer is given with every visual token as well."""
    try:
        parts = method_of(name)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not (parts.compressor or parts.pruner):
        raise argparse.ArgumentTypeError(f"The method {name!r} prunes nothing; choose one that does, such as crop.")
    return name


def _ask(arguments: argparse.Namespace) -> None:
    """Cheap checks first, so that a typing error does not wait for a model to load."""
    questions = [check_question(text) for text in (arguments.question, *arguments.then)]
    images = [open_image(path) for path in (arguments.image, *arguments.also)]
    regions = _regions(arguments, [image.size for image in images])
    config = _config(arguments)
    if arguments.with_image and not arguments.json:
        raise ValueError("--with-image puts the images into a JSON file; give --json FILE too.")
    check_json_path(arguments.json)
    needs_locator = None in regions and config.parts.needs_region
    engine = _engine(arguments, needs_locator)
    history: list[tuple[str, str]] = []
    for question in questions:
        result = engine.compare(images, question, config, regions, history=history)
        history = [*history, (question, result.baseline.text)]
        if arguments.json != "-":
            print(comparison_table(result), end="\n" if question is questions[-1] else "\n\n")
    if arguments.json:
        pictures = {"pictures": [data_url(image) for image in images]} if arguments.with_image else {}
        write_json({**result.to_json(), **pictures}, arguments.json)


def _config(arguments: argparse.Namespace) -> CropConfig:
    config = CropConfig(
        method=arguments.method,
        localizer=arguments.localizer,
        seed=arguments.seed,
        repeats=arguments.repeats,
        ilp=IlpConfig(evict=arguments.evict),
    )
    return config if arguments.budget is None else replace(config, budget=Budget.parse(arguments.budget))


def _regions(arguments: argparse.Namespace, sizes: list[tuple[int, int]]) -> list[Region | None]:
    """The region that the user chose in every image; None leaves it to the locator."""
    if len(arguments.box) > len(sizes):
        raise ValueError(f"There are {len(arguments.box)} boxes for {len(sizes)} image(s); give at most one for each.")
    left = Region.whole if arguments.localizer == "whole" else lambda *size: None
    boxes = [*arguments.box, *[None] * (len(sizes) - len(arguments.box))]
    return [
        left(*size) if box is None else Region.from_box(box.split(","), *size)
        for box, size in zip(boxes, sizes, strict=True)
    ]


def _engine(arguments: argparse.Namespace, needs_locator: bool) -> Any:
    """The engine with what was asked for; a locator is loaded only when it has to find the region."""
    from crop_core.engine.engine import CropEngine

    names = ("model", "device", "dtype", "quantize", "compiled")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    if not needs_locator:
        options["localizer"] = None
    elif arguments.locator:
        options["localizer"] = arguments.locator
    return CropEngine.from_pretrained(**options)


def _models(arguments: argparse.Namespace) -> None:
    from crop_core.models.loading.registry import available

    print("\n".join(columns([(each.name, each.family, each.description) for each in available()])))
