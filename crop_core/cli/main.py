"""The command line: `main`, and a parser of every module in this package that defines `add_command(commands)`.

A new command is one file here. Bad input is one sentence on stderr and exit code 2, an interrupt one and 130. torch is
imported only once the arguments make sense.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NoReturn

from crop_core import cli

BAD_INPUT = 2  # the exit code of argparse
INTERRUPTED = 130  # of a shell, for Ctrl-C
_NEGATIVE = re.compile(r"-\.?\d\S*")
SCRIPT, MODULE = "crop", "python -m crop_core"  # how it is run; the first is the console script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 or the command's own, 2 for bad input, 130 when interrupted."""
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        return arguments.run(arguments) or 0
    except ValueError as error:  # every error about what the user gave is one, with one sentence
        print(f"crop_core: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print(f"crop_core: {str(stop) or 'Interrupted; files that were downloaded whole are kept.'}", file=sys.stderr)
        return INTERRUPTED


def _joined(argv: Sequence[str]) -> list[str]:
    """The arguments, with a value such as "-5,0,10,10" or "-3%" joined to the option before it: argparse would take it
    for an option of its own.
    """
    joined: list[str] = []
    for argument in argv:
        last = joined[-1] if joined else ""
        if last.startswith("--") and len(last) > 2 and "=" not in last and _NEGATIVE.fullmatch(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


class _Parser(argparse.ArgumentParser):
    """argparse, with its errors in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help tells more).\n")


def _parser() -> argparse.ArgumentParser:
    prog = SCRIPT if Path(sys.argv[0]).stem == SCRIPT else MODULE
    parser = _Parser(prog=prog, description="Visual token pruning by contextual region (CROP).")
    commands = parser.add_subparsers(required=True, metavar="command", parser_class=_Parser)
    for add_command in _commands():
        add_command(commands)
    return parser


def _commands() -> Iterator[Callable[[Any], None]]:
    """`add_command` of every module in this package that has one, by name of the module."""
    for name in sorted(each.name for each in iter_modules(cli.__path__)):
        add_command = getattr(import_module(f"{cli.__name__}.{name}"), "add_command", None)
        if add_command is not None:
            yield add_command


if __name__ == "__main__":
    sys.exit(main())
