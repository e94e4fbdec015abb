"""The documents: the README is short, and every file, link, module and command that a document names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import crop_core
from tests.support import ROOT

CARDS = [*(ROOT / "assets" / "models").glob("*/README.md")]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *CARDS]
PATHS = re.compile(
    r"`((?:crop_core|ui|benchmarks|assets|tests|docs)/[\w./-]*|[\w-]+\.(?:py|txt|toml|cff)|Spacefile|Dockerfile|\.ci/\w+)`"
)
LINKS = re.compile(r"\]\(([^)#:\s]*)(#[\w-]+)?\)")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def headings(path: Path) -> set[str]:
    """Anchors of a document, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short_and_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 200
    pages = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS if path not in CARDS} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([\w./-]+)\)", readme))


def test_the_readme_names_files() -> None:
    assert len(set(PATHS.findall((ROOT / "README.md").read_text(encoding="utf-8")))) >= 4


def test_every_file_that_is_named_exists(document: Path) -> None:
    """A bare name of a file may be of this folder, or of a test wherever it is."""
    missing = [
        name
        for name in set(PATHS.findall(document.read_text(encoding="utf-8")))
        if not ((ROOT / name).exists() or (name.startswith("test_") and any((ROOT / "tests").rglob(name))))
    ]
    assert missing == []


def test_every_link_leads_somewhere(document: Path) -> None:
    for name, anchor in LINKS.findall(document.read_text(encoding="utf-8")):
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), name
        assert not anchor or anchor in headings(target), anchor


def test_every_module_that_is_run_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in set(re.findall(r"python -m ((?:crop_core|ui|benchmarks)[\w.]*\w)", text)):
        spec = find_spec(name)
        assert spec, name
        assert spec.submodule_search_locations is None or find_spec(f"{name}.__main__"), f"{name} cannot be run"
    for name in set(re.findall(r"python (\w[\w/]*\.py)", text)):
        assert (ROOT / name).is_file(), name


def test_every_make_target_exists(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    code = re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert {one or other for one, other in code} <= set(targets)


def test_importing_the_package_is_cheap_and_its_names_come_on_first_use() -> None:
    code = """
import sys, crop_core
assert not {"torch", "numpy", "transformers", "pydantic"} & set(sys.modules), "import crop_core loads them"
from crop_core import Budget, CropConfig, Region
assert "torch" not in sys.modules
assert CropConfig(budget=Budget(share=0.25)).budget.share == 0.25
assert Region.from_box((0, 0, 8, 8), 64, 64).grid == (0, 0, 0, 0)
from crop_core import CropEngine
from crop_core.engine.engine import CropEngine as same
assert CropEngine is same
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_listed_and_others_are_refused() -> None:
    assert set(crop_core.__all__) <= set(dir(crop_core))
    assert all(getattr(crop_core, name).__name__ == name for name in ("Budget", "CropConfig", "Region", "open_image"))
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        _ = crop_core.Oracle


def test_the_python_examples_use_names_of_the_package() -> None:
    for path in ("README.md", "docs/usage.md"):
        text = (ROOT / path).read_text(encoding="utf-8")
        (names,) = re.findall(r"^from crop_core import (.*)$", text, re.MULTILINE)
        assert set(names.split(", ")) <= set(crop_core.__all__)
