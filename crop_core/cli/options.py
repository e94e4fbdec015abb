"""Options that several commands share, what they give, and deprecated ones. torch is imported with the engine alone."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

from crop_core.records.config import Budget, CropConfig, IlpConfig, deprecation
from crop_core.records.localizers import AUTO, NONE, SELF, localizer_help, named_localizers
from crop_core.records.region import BOX_FORMS


def add_model_options(parser: argparse.ArgumentParser, otherwise: str = AUTO) -> None:
    """--model, --localizer, --device, --dtype and --quantize; None where one is left out. otherwise: the localizer of
    other models than the bundled one.
    """
    parser.add_argument("--model", metavar="NAME", help="answering model: bundled name, folder or hub id")
    localizer = (
        f"what finds the region: {localizer_help()} (default: crop-tiny-locator for crop-tiny, else {otherwise})"
    )
    parser.add_argument("--localizer", metavar="|".join(["NAME", *named_localizers()]), help=localizer)
    parser.add_argument(
        "--device", metavar="DEVICE", help="cpu, cuda, cuda:1, ..., or auto: all (default: cuda or cpu)"
    )
    parser.add_argument("--dtype", metavar="DTYPE", help="float32, bfloat16 or float16 (default: by device)")
    parser.add_argument("--quantize", choices=["8bit", "4bit"], help="fewer bits a weight, by bitsandbytes")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """--budget, --evict, --max-new-tokens, --short-answer and --seed."""
    default = str(CropConfig().budget).replace("%", "%%")
    budget = f"mean visual tokens per layer (64), share of all (25%%) or what is left at the end (64 left); {default}"
    parser.add_argument("--budget", metavar="N|P%|'N left'", help=budget)
    evict = "free the dropped tokens' keys and values in the layers before the last cut too"
    parser.add_argument("--evict", action="store_true", help=evict)
    longest = "tokens of the answer at most (default: the model's own limit, else 256)"
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help=longest)
    short = "ask for a short answer, by the sentence that the model's family is evaluated with; the notes show it"
    parser.add_argument("--short-answer", action="store_true", help=short)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the tokens that the method random keeps (0)"
    )


def run_config(arguments: argparse.Namespace, **settings: Any) -> CropConfig:
    """The config of `add_run_options`. settings: its other fields."""
    config = CropConfig(
        seed=arguments.seed,
        max_new_tokens=arguments.max_new_tokens,
        short_answer=arguments.short_answer,
        ilp=IlpConfig(evict=arguments.evict),
        **settings,
    )
    return config if arguments.budget is None else replace(config, budget=Budget.parse(arguments.budget))


def repeatable_localizer(arguments: argparse.Namespace) -> str:
    """--localizer, with a default that does not depend on what is installed, for records that are compared."""
    from crop_core.models import DEFAULT_LOCALIZER, DEFAULT_MODEL

    bundled = (arguments.model or DEFAULT_MODEL) == DEFAULT_MODEL
    return arguments.localizer or (DEFAULT_LOCALIZER if bundled else SELF)


def load_engine(arguments: argparse.Namespace, localizer: str | None) -> Any:
    """The engine of `add_model_options`. localizer: None for the default."""
    from crop_core.engine.engine import CropEngine

    names = ("model", "device", "dtype", "quantize", "compiled")
    options = {name: value for name in names if (value := getattr(arguments, name, None))}
    if localizer is not None:
        options["localizer"] = None if localizer == NONE else localizer
    return CropEngine.from_pretrained(**options)


def add_boxes_option(parser: argparse.ArgumentParser) -> None:
    """--boxes; None where it is left out."""
    forms = "; ".join(f"{name}: {what}" for name, what in BOX_FORMS.items())
    parser.add_argument(
        "--boxes", choices=tuple(BOX_FORMS), help=f"what boxes mean (default: pixels, checked); {forms}"
    )


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
