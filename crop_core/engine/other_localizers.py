"""Localizers beside the engine's own, by name, for runs that compare them."""

from __future__ import annotations

from typing import cast

from crop_core.engine.request_checks import EngineError
from crop_core.localize import Localizer, named_localizer
from crop_core.models import Adapter
from crop_core.records.formatting import truncated_repr
from crop_core.records.localizers import comparable_localizers


class OtherLocalizers:
    """adapter: the answering model. Each is made when it is first asked for, and kept."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._made: dict[str, Localizer] = {}

    def __getitem__(self, name: str) -> Localizer:
        """The localizer of this name; EngineError for one that cannot be tried at once, ModelError for one whose
        packages are missing.
        """
        if name not in comparable_localizers():
            choices = ", ".join(comparable_localizers())
            raise EngineError(f"The localizer {truncated_repr(name)} cannot be tried here; choose one of {choices}.")
        if name not in self._made:
            self._made[name] = cast(Localizer, named_localizer(name, self._adapter))
        return self._made[name]
