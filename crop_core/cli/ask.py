"""`ask` of the command line: answer a question about an image with every visual token and pruned. Errors as in main.py.

torch is imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from crop_core.cli.options import Deprecated, add_model_options, print_deprecation
from crop_core.io.data_url import data_url
from crop_core.io.images import check_question, open_image
from crop_core.io.json_output import check_json_path, write_json
from crop_core.records.comparison_table import comparison_table
from crop_core.records.config import Budget, ConfigError, CropConfig, IlpConfig
from crop_core.records.localizers import NONE, WHOLE
from crop_core.records.methods import method_of, pruning_methods
from crop_core.records.region import Region

EXAMPLE = """examples:
  python -m crop_core ask image.png "what is left of the dog?"
  python -m crop_core ask image.png "how many cats are there?" --budget 64 --method ilp
  python -m crop_core ask image.png "what does the sign say?" --box 40,30,200,180 --json answer.json
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
    parser.add_argument("image", metavar="IMAGE", help="file of an image (PNG, JPEG, WebP, GIF, TIFF, BMP, ...)")
    parser.add_argument("question", metavar="QUESTION", help="what to ask, up to 500 characters")
    also = "another image that the question is about; may be repeated"
    parser.add_argument("--also", metavar="IMAGE", action="append", default=[], help=also)
    then = "a further question about the same images, after the answer to the one before; may be repeated"
    parser.add_argument("--then", metavar="QUESTION", action="append", default=[], help=then)
    box = "draw the region yourself: left,top,right,bottom in pixels; once for each image, in their order"
    parser.add_argument("--box", metavar="x0,y0,x1,y1", action="append", default=[], help=box)


def _method_arguments(parser: argparse.ArgumentParser) -> None:
    default = str(CropConfig().budget).replace("%", "%%")
    budget = f"mean number of visual tokens per layer (64), or a share of all (25%%); default: {default}"
    parser.add_argument("--budget", metavar="N|P%", help=budget)
    methods = ", ".join(pruning_methods())
    method = f"what to prune with: {methods}, or two joined as in plc+fastv (default: crop)"
    parser.add_argument("--method", type=_method, metavar="NAME", default="crop", help=method)
    evict = "free the dropped tokens' keys and values in the layers before the last cut too"
    parser.add_argument("--evict", action="store_true", help=evict)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the tokens that --method random keeps (0)")


def _output_arguments(parser: argparse.ArgumentParser) -> None:
    repeats = "runs of each, first a warm-up (default: 2)"
    parser.add_argument("--repeats", type=int, default=2, metavar="N", help=repeats)
    parser.add_argument("--json", metavar="FILE|-", help="write everything as one JSON object; -: print only that")
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
    config = _config(arguments)
    if arguments.with_image and not arguments.json:
        raise ValueError("--with-image puts the images into a JSON file; give --json FILE too.")
    check_json_path(arguments.json)
    needs_localizer = None in regions and config.parts.needs_region
    if needs_localizer and localizer == NONE:
        raise ValueError(
            f"--localizer none predicts no region, and the method {arguments.method!r} needs one for each image; draw "
            "it by --box, or choose another localizer or method."
        )
    engine = _engine(arguments, localizer if needs_localizer else NONE)
    history: list[tuple[str, str]] = []
    for question in questions:
        result = engine.compare(images, question, config, regions, history=history)
        history = [*history, (question, result.baseline.text)]
        if arguments.json != "-":
            print(comparison_table(result), end="\n" if question is questions[-1] else "\n\n")
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


def _config(arguments: argparse.Namespace) -> CropConfig:
    config = CropConfig(
        method=arguments.method,
        seed=arguments.seed,
        repeats=arguments.repeats,
        ilp=IlpConfig(evict=arguments.evict),
    )
    return config if arguments.budget is None else replace(config, budget=Budget.parse(arguments.budget))


def _regions(boxes: list[str], sizes: list[tuple[int, int]], whole: bool) -> list[Region | None]:
    """The drawn region of every image; without a box the whole image, or None, which leaves it to the localizer."""
    if len(boxes) > len(sizes):
        raise ValueError(f"There are {len(boxes)} boxes for {len(sizes)} image(s); give at most one for each.")
    drawn = [Region.from_box(box.split(","), *size) for box, size in zip(boxes, sizes, strict=False)]
    return [*drawn, *(Region.whole(*size) if whole else None for size in sizes[len(boxes) :])]


def _engine(arguments: argparse.Namespace, localizer: str | None) -> Any:
    """The engine with the options that were given; it loads a localizer only where one has to predict a region."""
    from crop_core.engine.engine import CropEngine

    names = ("model", "device", "dtype", "quantize", "compiled")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    if localizer is not None:
        options["localizer"] = None if localizer == NONE else localizer
    return CropEngine.from_pretrained(**options)
