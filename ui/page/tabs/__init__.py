"""The tabs beside the inputs, one file each: a module with TITLE, ORDER (from left to right) and `build(page)`.

One with `offered(page)` too is left out where that is false.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from ui.page.sweeps import SweepHandlers
from ui.views.examples import Example


@dataclass(frozen=True)
class TabContext:
    """What a tab may read of the page. sweeps: handlers of many runs, and the engine. inputs: image,
    question and settings. note: the message under them. model: how events that need the model are queued. operator: the
    login that may check the model, "" for everybody, None where no check is offered. opening: payload of the explorer
    when the page opens.
    """

    sweeps: SweepHandlers
    inputs: list[Any]
    note: Any
    model: dict[str, Any]
    examples: list[Example]
    operator: str | None = None
    opening: dict[str, Any] | None = None

    def inputs_with(self, *chosen: Any) -> list[Any]:
        """Image, question, what the tab has to choose, settings."""
        return [*self.inputs[:2], *chosen, *self.inputs[2:]]


def tab_modules(page: TabContext) -> list[ModuleType]:
    """Every module of this folder that is offered, from left to right."""
    modules = [import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    shown = [module for module in modules if not hasattr(module, "offered") or module.offered(page)]
    return sorted(shown, key=lambda module: module.ORDER)
