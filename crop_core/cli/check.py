"""`check` of the command line: proofs that pruning is exact for a model on this machine. Errors as in
crop_core/cli/main.py, which calls this.

torch is imported only once image, question and JSON file make sense.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.cli.options import add_model_options
from crop_core.io.images import check_question, open_image
from crop_core.io.json_output import STDOUT, check_json_path, write_json

if TYPE_CHECKING:
    from crop_core.evaluate.check import Proof

ABOUT = """Compares the engine with the model's own generate and with masking, on an image that is drawn for it or on
yours, and says of every proof whether it passed. The exit code is 0 when none failed, 1 when one did, 2 for bad input.
See docs/check.md."""
EXAMPLE = """examples:
  python -m crop_core check
  python -m crop_core check --model llava-hf/llava-1.5-7b-hf --dtype float32 --json check.json
"""
FAILED_PROOF = 1  # the exit code


def add_command(commands: Any) -> None:
    """The command `check`, on the subparsers of the command line."""
    parser = commands.add_parser(
        "check",
        help="prove that pruning is exact for a model on this machine",
        description=ABOUT,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser)
    parser.add_argument("--attention", metavar="NAME", help="sdpa, eager or flash_attention_2 (default: the fastest)")
    parser.add_argument("--image", metavar="FILE", help="image to ask about (default: a drawn one)")
    parser.add_argument("--question", metavar="TEXT", help="what to ask (default: one about the drawn image)")
    parser.add_argument("--json", metavar="FILE|-", help="write everything as one JSON object; -: print only that")
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    """Cheap checks first, as in `ask`."""
    image = open_image(Path(arguments.image)) if arguments.image else None
    given = {"question": check_question(arguments.question)} if arguments.question is not None else {}
    check_json_path(arguments.json)
    from crop_core.engine.engine import CropEngine
    from crop_core.evaluate.check import FAILED, Check

    options = {name: getattr(arguments, name) for name in ("model", "localizer", "device", "dtype", "quantize")}
    options = {name: value for name, value in {**options, "attn": arguments.attention}.items() if value}
    check = Check(CropEngine.from_pretrained(**options, warm_up=False), image, **given)
    environment, proofs = check.environment, []
    shown = arguments.json != STDOUT
    if shown:
        print("\n".join(f"{name:<15} {value}" for name, value in environment.items()), end="\n\n")
        print(_row("proof", "status", "measured", "tolerance", "seconds", "detail"))
    for proof in check.proofs():
        proofs.append(proof)
        if shown:
            print(_line(proof), flush=True)
    failed = [proof.name for proof in proofs if proof.status == FAILED]
    if arguments.json:
        rows = [proof.to_json() for proof in proofs]
        write_json({"environment": environment, "passed": not failed, "proofs": rows}, arguments.json)
    if failed:
        print(f"crop_core: {_report(failed, environment)}", file=sys.stderr)
    return FAILED_PROOF if failed else 0


def _report(failed: list[str], environment: dict[str, Any]) -> str:
    """Which proofs failed, and what a report of that needs."""
    names = ("crop-explorer", "transformers", "torch", "python")
    versions = ", ".join(f"{name} {environment[name]}" for name in names)
    return (
        f"Failed: {', '.join(failed)}; pruning is not known to be exact for {environment['model']} on this machine. "
        f"Please report it with the output of --json ({versions}, {environment['device']}, {environment['dtype']})."
    )


def _line(proof: Proof) -> str:
    measured, tolerance = ("-" if value is None else f"{value:.3g}" for value in (proof.measured, proof.tolerance))
    return _row(proof.name, proof.status, measured, tolerance, f"{proof.seconds:.2f}", proof.detail)


def _row(*cells: str) -> str:
    return "{:<21}  {:<14}  {:>9}  {:>9}  {:>7}  {}".format(*cells)
