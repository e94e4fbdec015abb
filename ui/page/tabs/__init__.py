"""The tabs beside the inputs, one file each: a module with TITLE, ORDER (from left to right) and `build(page)`."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from ui.page.sweeps import SweepHandlers
from ui.views.examples import Example


@dataclass(frozen=True)
class TabContext:
    """What a tab may read of the page. sweeps: handlers of many runs, and the engine. inputs: image,
    question and settings. note: the message under them. model: how events that need the model are queued.
    """

    sweeps: SweepHandlers
    inputs: Sequence[Any]
    note: Any
    model: dict[str, Any]
    examples: list[Example]

    def inputs_with(self, names: Any) -> list[Any]:
        """Image, question, names of methods, settings."""
        return [*self.inputs[:2], names, *self.inputs[2:]]


def tab_modules() -> list[ModuleType]:
    """Every module of this folder, from left to right."""
    found = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    return sorted(found, key=lambda module: module.ORDER)
