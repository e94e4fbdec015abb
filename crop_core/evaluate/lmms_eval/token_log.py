"""What became of the visual tokens of every request: a line of JSON each in a file, and their means.

Knows nothing of lmms-eval and models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TokenLog:
    """Facts by request, as `Asked.facts` tells them.

    path: a file that lines are added to, as a run that goes on needs it and several processes may; None for none.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._facts: list[Mapping[str, Any]] = []

    def add(self, request: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Keep the facts of a request; `request` says which it was."""
        self._facts.append(facts)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**request, **facts}, allow_nan=False) + "\n")

    @property
    def seconds(self) -> float:
        """Of all requests."""
        return sum(each["seconds"] for each in self._facts)

    @property
    def new_tokens(self) -> int:
        """Written in all requests."""
        return sum(each["new_tokens"] for each in self._facts)

    def means(self) -> dict[str, float]:
        """Mean visual tokens of a request: of its images, per decoder layer, and after the last cut; and the share of
        requests that were not pruned. Empty before the first.
        """
        count = len(self._facts)
        if not count:
            return {}
        names = ("visual_tokens", "mean_tokens", "final_tokens")
        means = {name: sum(each[name] for each in self._facts) / count for name in names}
        return {**means, "share_unpruned": sum(each["method"] == "none" for each in self._facts) / count}
