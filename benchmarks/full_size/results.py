"""The results file: sections by model, written whole after every step, so that a run that is cut off loses nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.full_size.report import report
from crop_core.records.config import ConfigError

FORMAT = 1


class Results:
    """path: of the JSON; a table in Markdown stands beside it. Other models and sections that it holds stay. Raises
    ConfigError for a file that is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[str, Any] = {"format": FORMAT, "models": {}}
        if path.exists():
            self.data = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise ConfigError(f"{self.path} is no result of this benchmark; move it away or give another --out.")
        return found

    def put(self, model: str, **sections: Any) -> None:
        """Sections of a model in place of those of the same names."""
        self.data["models"].setdefault(model, {}).update(sections)
        self._write(self.path, json.dumps(self.data, indent=1) + "\n")
        self._write(self.path.with_suffix(".md"), report(self.data))

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(path.suffix + ".part")
        whole.write_text(text, encoding="utf-8")
        os.replace(whole, path)
