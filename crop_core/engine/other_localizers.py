"""Localizers beside the engine's own, by name: a run's config may name one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from crop_core.localize import Localizer, named_localizer
from crop_core.models import Adapter
from crop_core.records.localizers import comparable_localizers


class OtherLocalizers(Mapping[str, Localizer]):
    """adapter: the answering model. Each is made when it is first asked for, and kept; ModelError for one whose
    packages are missing.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._made: dict[str, Localizer] = {}

    def __getitem__(self, name: str) -> Localizer:
        if name not in comparable_localizers():
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = cast(Localizer, named_localizer(name, self._adapter))
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in comparable_localizers()

    def __iter__(self) -> Iterator[str]:
        return iter(comparable_localizers())

    def __len__(self) -> int:
        return len(comparable_localizers())
