"""`check` of the command line: proofs that pruning is exact for a model on this machine, and measurements beside them.
Errors as in crop_core/cli/main.py, which calls this.

torch is imported only once image, question and files make sense.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crop_core.cli.options import add_model_options, repeatable_localizer
from crop_core.io.check_page import check_page
from crop_core.io.images import check_question, image_notices, open_image
from crop_core.io.json_output import STDOUT, check_json_path, write_json
from crop_core.io.output_files import check_output, write_output
from crop_core.records.check import SCENES, CheckError, CheckReport, check_scenes
from crop_core.records.check_table import check_head, check_rest, progress, proof_line, what_to_report
from crop_core.records.localizers import SELF

if TYPE_CHECKING:
    from typing import Any

    from crop_core.evaluate.check.check import Check

ABOUT = """Compares the engine with the model's own generate and with masking, and says of every proof whether it
passed; then measures regions and answers on drawn scenes, times and memory. The exit code is 0 when no proof failed, 1
when one did, 2 for bad input. With --json FILE a stopped check goes on where it was. See docs/check.md."""
EXAMPLE = """examples:
  python -m crop_core check
  python -m crop_core check --model llava-hf/llava-1.5-7b-hf --dtype float32 --json check.json --html check.html
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
    add_model_options(parser, SELF)
    parser.add_argument("--attention", metavar="NAME", help="sdpa, eager or flash_attention_2 (default: the fastest)")
    parser.add_argument("--image", metavar="FILE", help="image to ask about (default: a drawn one)")
    parser.add_argument("--question", metavar="TEXT", help="what to ask (default: one about the drawn image)")
    scenes = f"drawn scenes to measure regions and answers on (default: {SCENES})"
    parser.add_argument("--scenes", metavar="N", type=int, default=SCENES, help=scenes)
    kept = "write everything as one JSON object, after every part; the same command goes on from it; -: print only that"
    parser.add_argument("--json", metavar="FILE|-", help=kept)
    parser.add_argument("--html", metavar="FILE", help="write one page to read, print or send")
    parser.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    """Cheap checks first, as in `ask`."""
    count = check_scenes(arguments.scenes)
    image = None if arguments.image is None else open_image(arguments.image)
    for sentence in image_notices([image] if image else []):
        print(f"crop_core: {sentence}", file=sys.stderr)
    given = {"question": check_question(arguments.question)} if arguments.question is not None else {}
    check_json_path(arguments.json)
    check_output(arguments.html, "HTML file")
    stopped = _stopped(arguments.json)
    from crop_core.engine.engine import CropEngine
    from crop_core.evaluate.check.check import Check

    options = {name: getattr(arguments, name) for name in ("model", "device", "dtype", "quantize")}
    options = {name: value for name, value in {**options, "attn": arguments.attention}.items() if value}
    engine = CropEngine.from_pretrained(**options, localizer=repeatable_localizer(arguments), warm_up=False)
    check = Check(engine, image, scenes=count, **given)
    try:
        report = _run(check, stopped, arguments.json)
    except KeyboardInterrupt:
        _print_progress("")
        raise KeyboardInterrupt(_interrupted(arguments.json)) from None
    if arguments.html:
        write_output(check_page(report).encode(), arguments.html, "HTML file")
    if report.failed:
        print(f"crop_core: {what_to_report(report)}", file=sys.stderr)
    return FAILED_PROOF if report.failed else 0


def _run(check: Check, stopped: CheckReport | None, target: str | None) -> CheckReport:
    """The finished report, with everything printed and kept on the way."""
    try:
        report = check.begin(stopped)
    except CheckError as error:
        raise CheckError(
            f"'{target}' holds a check that was stopped, and {error}; give another --json FILE, or delete it to start "
            "again."
        ) from None
    _keep(report, target)
    shown = print if target != STDOUT else _silent
    shown("\n".join([check_head(report), *map(proof_line, report.proofs)]), flush=True)
    for part in check.run(report):
        _keep(part, target)
        for proof in part.proofs[len(report.proofs) :]:
            shown(proof_line(proof), flush=True)
        _print_progress(progress(part) if part.scenes and not part.finished else "")
        report = part
    shown(check_rest(report))
    if target == STDOUT:
        write_json(report.to_json(), STDOUT)
    return report


def _silent(*_: object, **__: object) -> None:
    """In place of `print`."""


def _keep(report: CheckReport, target: str | None) -> None:
    if target not in (None, STDOUT):
        write_json(report.to_json(), str(target))


def _print_progress(line: str) -> None:
    """A line on a terminal that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", flush=True, file=sys.stderr)


def _stopped(target: str | None) -> CheckReport | None:
    """The check that was stopped while it wrote this file; None where one begins: without a file, or after another one.

    Raises CheckError for a file that holds something else.
    """
    if target in (None, STDOUT) or not Path(str(target)).is_file() or not Path(str(target)).stat().st_size:
        return None
    try:
        data = json.loads(Path(str(target)).read_bytes())
        if not (isinstance(data, dict) and {"environment", "proofs"} <= data.keys()):
            raise CheckError("no proofs")
        return None if data.get("finished", True) else CheckReport.from_json(data)
    except (OSError, ValueError, RecursionError):
        raise CheckError(
            f"The file '{target}' is there already and holds no check that can go on; give another --json FILE, or "
            "delete it."
        ) from None


def _interrupted(target: str | None) -> str:
    if target in (None, STDOUT):
        return "Interrupted; a check with --json FILE goes on where it was stopped."
    return f"Interrupted; what was done is in '{target}', and the same command goes on from there."
