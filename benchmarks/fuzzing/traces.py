"""Fuzzing of the loader of recorded runs: a real file with mutated values or bytes, alone and in malformed zips."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.fuzzing.mutations import check_sentence, mutate
from ui.export.drawings import comparison_report
from ui.export.load_runs import open_files
from ui.page import export_panel

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 8, 600, 20_001, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, 1e-320, "", "0", "NaN",
    "<b onclick=x>", "a" * 301, "b" * 20_001, "\0", "\ud800", "../../etc/passwd", [], [[]], {}, {"": 1}, [0] * 20_001,
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "01", "'x'", "[" * 100_000, '{"a":' * 5_000, '"\\ud800"', "9" * 5_000)
NAMES = ("run.json", "../../up.json", "/etc/passwd.json", "a/b/c.json", "C:\\x.json", "<img src=x>.json", ".json",
         "\u202ennosj.json", "run.png", "x" * 250 + ".json", "con.json", "a\nb.json")  # fmt: skip


class Traces:
    """An input is one file, or a zip of several: every run in it can be rendered, all else is a one-sentence error.

    run: a recorded run, as in its file.
    """

    def __init__(self, run: dict[str, Any]) -> None:
        self._run, self._text = run, json.dumps(run)
        self._folder = TemporaryDirectory()

    def one(self, rng: Random) -> str:
        """Run one input; returns "read" or "refused". Raises for anything else."""
        packed = rng.random() < 0.3
        content = self._zip(rng) if packed else self._record(rng)
        path = Path(self._folder.name) / ("runs.zip" if packed else "run.json")
        path.write_bytes(content)
        opened = open_files([str(path)])
        assert opened.runs or opened.notices
        for each in opened.notices:
            check_sentence(each)
        if opened.runs and rng.random() < 0.05:
            try:
                export_panel.figure_file(opened.runs[-1], "row", "", 1, "SVG", 8, "sans", 7, False, 72, True)
                comparison_report(opened.runs[-1].result)
                export_panel.record(opened.runs[-1], True)
            except ValueError as error:
                check_sentence(error)
        return "read" if opened.runs else "refused"

    def _record(self, rng: Random) -> bytes:
        """A run's file with one to three changed values."""
        kind = rng.random()
        if kind < 0.25:
            return mutate(self._text.encode(), b'{"question": [[]]}', rng)
        data = json.loads(self._text)
        for _ in range(rng.randint(1, 3)):
            _change(data, rng)
        text = json.dumps(data)
        if kind < 0.4:
            text = text.replace(rng.choice(("0.", "true", "1", "null", '"')), rng.choice(RAW), 1)
        return text.encode("utf-8", "surrogatepass")

    def _zip(self, rng: Random) -> bytes:
        """Runs, images, zips and zip bombs under any name; valid or mutated."""
        out = io.BytesIO()
        warnings.simplefilter("ignore", UserWarning)  # about duplicate names
        with zipfile.ZipFile(
            out, "w", rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2))
        ) as zip:
            for _ in range(rng.choice((0, 1, 2, 5))):
                zip.writestr(rng.choice(NAMES), self._entry(rng))
            if rng.random() < 0.02:
                zip.writestr("bomb.json", bytes(rng.choice((21, 60)) * 1_000_000), zipfile.ZIP_DEFLATED)
            if rng.random() < 0.02:
                for k in range(300):
                    zip.writestr(f"{k}.json", b"{}")
        return mutate(out.getvalue(), self._text.encode(), rng) if rng.random() < 0.5 else out.getvalue()

    def _entry(self, rng: Random) -> bytes:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as zip:
            zip.writestr("inner.json", "{}")
        return rng.choice((self._text.encode(), self._record(rng), inner.getvalue(), b"", b"\x89PNG\r\n\x1a\n"))


def _change(data: Any, rng: Random) -> None:
    """Change or delete a value, or change the length of a list."""
    at = data
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = rng.choice(keys)
        if isinstance(at[key], (dict, list)) and at[key] and rng.random() < 0.8:
            at = at[key]
            continue
        break
    action = rng.random()
    if action < 0.7:
        at[key] = rng.choice(VALUES)
    elif action < 0.85:
        del at[key]
    elif isinstance(at, list):
        at.extend(at[: rng.choice((1, 2, len(at)))])
    else:
        at[rng.choice(("", "extra", "pictures", "others", "history", "view"))] = rng.choice(VALUES)
    if not data:
        data["question"] = ""
