"""What the subcommands of `localizer` share: rows with boxes, and the model that they are about."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from crop_core.cli.options import add_boxes_option
from crop_core.io.row_reader import Skipped
from crop_core.train.localizer.data import Example, read
from crop_core.train.localizer.settings import TuneError

DATA = "JSON, CSV or Parquet with image, question and boxes in each row, or a file of Visual-CoT"


def add_data_arguments(parser: argparse.ArgumentParser, otherwise: str = "") -> None:
    """DATA, --images, --boxes, --limit, --device and --dtype. otherwise: what is used without DATA; "" where it has to
    be there.
    """
    text = f"{DATA} (default: {otherwise})" if otherwise else DATA
    parser.add_argument("data", metavar="DATA", type=Path, nargs="?" if otherwise else None, help=text)
    parser.add_argument("--images", metavar="FOLDER", type=Path, help="folder of the images (default: beside DATA)")
    add_boxes_option(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N usable rows")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, ... (default: cuda when there is one)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: what suits the device")


def usable_examples(arguments: argparse.Namespace) -> list[Example]:
    """The usable rows; a summary of the skipped ones goes to stderr."""
    if arguments.limit is not None and arguments.limit < 1:
        raise TuneError(f"--limit is {arguments.limit}, and must be at least 1.")
    if arguments.images is not None and not arguments.images.is_dir():
        raise TuneError(f"There is no folder '{arguments.images}' for --images.")
    examples, skipped = read(arguments.data, arguments.images, arguments.limit, arguments.boxes)
    taken = skipped.taken(len(examples), len({each.image for each in examples}), arguments.data)
    print(f"crop_core: {taken}", file=sys.stderr)
    print_skipped(skipped, "rows")
    return examples


def print_skipped(skipped: Skipped, what: str) -> None:
    """How many of the rows or images were skipped and why, on stderr; nothing for none."""
    if skipped.count:
        print(f"crop_core: of the {what}, {skipped}.", file=sys.stderr)


def load_adapter(arguments: argparse.Namespace) -> Any:
    """The model of --model, --device, --dtype and, where there is one, --quantize."""
    from crop_core.models import load

    quiet_loading()
    quantize = getattr(arguments, "quantize", None)
    return load(arguments.model, arguments.device, arguments.dtype, quantize=quantize)


def quiet_loading() -> None:
    """Without transformers' progress bars."""
    from transformers.utils import logging

    logging.disable_progress_bar()
