"""A small folder that can be pushed as a Space: our README, Spacefile and requirements around an app of one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support import ROOT
from tests.support.fake_records import sample_image

FILES = ("README.md", "Spacefile", "requirements.txt", "LICENSE")
NAME = "ann/demo"  # of a Space
QUESTION = "what is left of the dog?"


def space_folder(folder: Path) -> Path:
    """Make it."""
    for name in FILES:
        shutil.copy(ROOT / name, folder / name)
    for name in ("crop_core", "ui/__pycache__", "assets/examples", "tests", "benchmarks"):
        (folder / name).mkdir(parents=True)
    for name in ("app.py", "crop_core/a.py", "ui/a.py", "ui/a.pyi", "ui/__pycache__/a.pyc", "tests/a.py", ".env"):
        (folder / name).write_text("pass\n")
    (folder / "benchmarks" / "a.py").write_text("pass\n")
    sample_image(40, 30).save(folder / "assets/examples/01.png")
    (folder / "assets/examples/examples.json").write_text(json.dumps([{"image": "01.png", "question": QUESTION}]))
    return folder


def replace_in(path: Path, old: str, new: str) -> None:
    """Change a text in a file, which has to be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
