"""`models` of the command line: list what can be loaded."""

from __future__ import annotations

import argparse
from typing import Any

from crop_core.records.comparison_table import columns


def add_command(commands: Any) -> None:
    """The command `models`, on the subparsers of the command line."""
    commands.add_parser("models", help="list what can be loaded").set_defaults(run=_models)


def _models(arguments: argparse.Namespace) -> None:
    from crop_core.models.loading.registry import available

    print("\n".join(columns([(each.name, each.family, each.description) for each in available()])))
