"""Options that several commands share, and deprecated ones. Knows nothing of torch."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from crop_core.records.config import deprecation
from crop_core.records.localizers import localizer_help, named_localizers


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --localizer, --device, --dtype and --quantize; None where one is left out."""
    parser.add_argument("--model", metavar="NAME", help="answering model: bundled name, folder or hub id")
    localizer = f"what finds the region: {localizer_help()} (default: crop-tiny-locator for crop-tiny, else self)"
    parser.add_argument("--localizer", metavar="|".join(["NAME", *named_localizers()]), help=localizer)
    parser.add_argument(
        "--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ..., or auto: all (default: cuda or cpu)"
    )
    parser.add_argument("--dtype", metavar="DTYPE", help="float32, bfloat16 or float16 (default: by device)")
    parser.add_argument("--quantize", choices=["8bit", "4bit"], help="fewer bits a weight, by bitsandbytes")


class Deprecated(argparse.Action):
    """An option of the previous version: not in --help, and one line on stderr that names the `new` one."""

    def __init__(self, option_strings: list[str], dest: str, *, new: str, **options: Any) -> None:
        super().__init__(option_strings, dest, **{**options, "help": argparse.SUPPRESS})
        self.new = new

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        """Store the value, or the constant of an option without one."""
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)
        print_deprecation(self.option_strings[0], self.new)


def print_deprecation(old: str, new: str) -> None:
    """One line on stderr."""
    print(f"crop_core: {deprecation(old, new)}", file=sys.stderr)
