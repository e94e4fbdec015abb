"""docs/security.md names tests and files that there are; the audit and a small fuzz run, as `make` starts them."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"


def named() -> set[tuple[Path, str]]:
    """(file, test) of every test that the document names, wherever it lies; test "" where it names a file alone."""
    found, file = set(), TESTS
    for browser, name, test in re.findall(r"(browser )?`(test_\w+\.py)?(?:::(test_\w+))?`", DOCUMENT):
        if name:
            file = next(each for each in TESTS.rglob(name) if ("browser" in each.parts) == bool(browser))
        if name or test:
            found.add((file, test))
    return found


def test_every_test_that_is_named_is_there() -> None:
    assert len(named()) > 35
    for file, test in named():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not test or test in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, test


def test_every_file_that_is_named_is_there() -> None:
    names = re.findall(r"`((?:crop_core|ui|bench)/[\w./]*)`", DOCUMENT)
    assert len(names) >= 5
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_recorded_fuzz_run_is_large_enough_and_found_nothing() -> None:
    told = json.loads((ROOT / "bench" / "results" / "fuzz.json").read_text(encoding="utf-8"))
    assert told["inputs"] >= 100_000 and told["findings"] == 0
    assert told["inputs"] == sum(each["inputs"] for each in told["parts"].values())
    assert set(told["parts"]) == {"images", "traces", "texts", "surface"}
    for part in ("images", "traces", "texts"):
        assert min(told["parts"][part]["read"], told["parts"][part]["refused"]) > 1000  # both ends are reached


@pytest.mark.parametrize("part", ["images", "texts"])
def test_a_small_fuzz_run_finds_nothing(part: str, tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = ["bench/fuzz.py", "--part", part, "--inputs", "300", "--seed", "1", "--results", str(out)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = json.loads(out.read_text(encoding="utf-8"))
    assert (done.returncode, told["findings"], told["inputs"]) == (0, 0, 300), done.stdout
    assert told["parts"][part]["read"] and told["parts"][part]["refused"]


def audit() -> Any:
    """bench/audit.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "bench" / "audit.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "told", ["", "HTTPError: 403", "[]", json.dumps({"dependencies": [{"name": "a", "skip_reason": "x"}]})]
)
def test_an_audit_without_an_index_is_one_sentence(told: str) -> None:
    assert audit().found(told) == ([audit().NO_INDEX], 0)


def test_an_audit_tells_every_hole() -> None:
    hole = {"id": "CVE-2026-1", "fix_versions": ["1.1"]}
    packages = [
        {"name": "a", "version": "1.0", "vulns": [hole]},
        {"name": "b", "version": "2.0", "vulns": []},
        {"name": "c", "skip_reason": "not there"},
    ]
    assert audit().found(json.dumps({"dependencies": packages})) == (
        ["a 1.0: CVE-2026-1, mended in 1.1", "2 packages audited, 1 unknown to the index, 1 known holes."],
        1,
    )
