"""`space` of the command line: our Hugging Face Space, checked here and pushed to the hub. Errors as in main.py.

huggingface_hub is imported only when a command runs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crop_core.space.hub import SpaceHub
    from crop_core.space.spacefile import SpaceDescription

ABOUT = """Makes a Hugging Face Space of this folder as its Spacefile says: creates or updates it, uploads the files,
sets hardware and variables, waits until it runs, and asks it about an example. A push that is refused is undone."""
CHECK = """Finds without a network what a Space would refuse or fail to build: front matter, requirements, files and
variables. The exit code is 0 when it finds nothing, 1 when it does, 2 for bad input."""
EXAMPLE = """examples:
  python -m crop_core space check
  python -m crop_core space push ann/crop-explorer --dry-run
  python -m crop_core space push ann/crop-explorer --hardware l4x1 --model llava-hf/llava-1.5-7b-hf --private
"""
FOUND = 1  # the exit code


def add_command(commands: Any) -> None:
    """The command `space`, on the subparsers of the command line."""
    space = commands.add_parser("space", help="check and push our Hugging Face Space", description=ABOUT)
    parts = space.add_subparsers(required=True, metavar="command")
    push = _part(parts, "push", "make or update a Space on the hub", ABOUT)
    push.add_argument("name", metavar="OWNER/NAME", help="of the Space; the owner is you or an organization of yours")
    push.add_argument("--model", metavar="ID", help="answering model (default: the largest of the defaults that fits)")
    push.add_argument("--private", action="store_true", help="visible to its owner alone")
    push.add_argument("--dry-run", action="store_true", help="print the calls to the hub, and make none that changes")
    push.set_defaults(run=_push)
    _part(parts, "check", "find without a network what a Space would refuse", CHECK).set_defaults(run=_check)


def _part(parts: Any, name: str, text: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parts.add_parser(
        name, help=text, description=about, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hardware", metavar="FLAVOR", help="such as zero-a10g, l4x1 (default: that of Spacefile)")
    return parser


def _check(arguments: argparse.Namespace) -> int:
    from crop_core.space.files import MB, file_notes, files_of, size

    folder, space = _described(arguments)
    found = _problems(folder, space)
    files = files_of(folder, space.files)
    print("\n".join(found or [f"Ready for {space.hardware}: {len(files)} files, {size(files) / MB:.1f} MB."]))
    for note in file_notes(files):
        print(note)
    return FOUND if found else 0


def _push(arguments: argparse.Namespace) -> None:
    """Everything that can be found here comes before the hub is asked."""
    from huggingface_hub import HfApi

    from crop_core.space.hub import NoHubError, SpaceHub
    from crop_core.space.push import make_space
    from crop_core.space.spacefile import SpaceError

    folder, space = _described(arguments)
    if found := _problems(folder, space):
        raise SpaceError(" ".join(found))
    hub = SpaceHub(HfApi(), arguments.name, print if arguments.dry_run else _say, arguments.dry_run)
    before = None
    try:
        hub.check_rights()
        before = hub.state()
    except NoHubError as error:
        if not arguments.dry_run:
            raise
        _say(f"{error} These are the calls for a new Space.")
    commit = make_space(hub, folder, space, arguments.private, before)
    if not arguments.dry_run:
        _finish(hub, folder, space, commit)


def _finish(hub: SpaceHub, folder: Path, space: SpaceDescription, commit: str) -> None:
    """Wait for a Space that has been pushed, ask it, and print its address."""
    from crop_core.space.running import ask_example, wait_until_running

    try:
        wait_until_running(hub, commit)
        ask_example(hub, folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted; the Space is pushed and goes on by itself: {hub.address}") from None
    missing = sorted({*space.secrets} - {*hub.read(hub.api.get_space_secrets, hub.repo)})
    if missing:
        _say(f"secrets that are not set, and can be at {hub.address}/settings: {', '.join(missing)}")
    print(hub.address)


def _described(arguments: argparse.Namespace) -> tuple[Path, SpaceDescription]:
    """The folder of this command, and its description with the options."""
    from crop_core.space.spacefile import read_spacefile
    from ui.server.settings import BUNDLED

    model = getattr(arguments, "model", None)
    return Path.cwd(), read_spacefile(Path.cwd()).changed(arguments.hardware, model, BUNDLED)


def _problems(folder: Path, space: SpaceDescription) -> list[str]:
    from crop_core.space.check import problems
    from ui.server.manual import variable_mistakes  # the app's settings, which are the Space's variables

    return problems(folder, space, variable_mistakes)


def _say(text: str) -> None:
    print(f"crop_core: {text}", file=sys.stderr, flush=True)
