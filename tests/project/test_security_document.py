"""docs/security.md names tests and files that there are; the audit and a small fuzz run."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"


def named() -> set[tuple[Path, str]]:
    """(file, test) of every test that the document names, wherever it lies; test "" where it names a file alone."""
    result, file = set(), TESTS
    for browser, name, test in re.findall(r"(browser )?`(test_\w+\.py)?(?:::(test_\w+))?`", DOCUMENT):
        if name:
            file = next(each for each in TESTS.rglob(name) if ("browser" in each.parts) == bool(browser))
        if name or test:
            result.add((file, test))
    return result


def test_every_test_that_is_named_is_there() -> None:
    assert len(named()) > 35
    for file, test in named():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert not test or test in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}, test


def test_every_file_that_is_named_is_there() -> None:
    names = re.findall(r"`((?:crop_core|ui|benchmarks)/[\w./]*)`", DOCUMENT)
    assert len(names) >= 5
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_recorded_fuzz_run_is_large_enough_and_found_nothing() -> None:
    report = json.loads((ROOT / "benchmarks" / "results" / "fuzz.json").read_text(encoding="utf-8"))
    assert report["inputs"] >= 100_000 and report["findings"] == 0
    assert report["inputs"] == sum(each["inputs"] for each in report["parts"].values())
    assert set(report["parts"]) == {"images", "traces", "texts", "surface"}
    for part in ("images", "traces", "texts"):
        assert min(report["parts"][part]["read"], report["parts"][part]["refused"]) > 1000  # both ends are reached


@pytest.mark.parametrize("part", ["images", "texts"])
def test_a_small_fuzz_run_finds_nothing(part: str, tmp_path: Path) -> None:
    out = tmp_path / "fuzz.json"
    command = ["-m", "benchmarks.fuzz", "--part", part, "--inputs", "300", "--seed", "1", "--results", str(out)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
    report = json.loads(out.read_text(encoding="utf-8"))
    assert (done.returncode, report["findings"], report["inputs"]) == (0, 0, 300), done.stdout
    assert report["parts"][part]["read"] and report["parts"][part]["refused"]


def audit(folder: Path, report: str, status: int) -> tuple[str, int]:
    """(what is said, exit status) of `make audit` where pip-audit says `report` and ends with `status`."""
    reported_by = folder / "bin" / "pip-audit"
    reported_by.parent.mkdir()
    reported_by.write_text(f"#!/bin/sh\ncat <<'END'\n{report}\nEND\nexit {status}\n", encoding="utf-8")
    reported_by.chmod(0o755)
    for stamp in ("bin/python", ".app-installed", ".dev-installed"):
        (folder / stamp).touch()
    done = subprocess.run(["make", "-s", "audit", f"VENV={folder}"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip(), done.returncode


SKIPPED = "No known vulnerabilities found\nnumpy  Dependency not found on PyPI and could not be audited: numpy (2.4.1)"


@pytest.mark.parametrize(("report", "status"), [("", 1), ("HTTPError: 403", 1), ("[]", 0), (SKIPPED, 0)])
def test_an_audit_without_an_index_is_one_sentence(report: str, status: int, tmp_path: Path) -> None:
    message, ended = audit(tmp_path, report, status)
    assert message.startswith("The packages were not audited: ") and "\n" not in message
    assert ended == 0, "no network is no fault of the packages"


def test_an_audit_tells_every_hole(tmp_path: Path) -> None:
    hole = "Found 1 known vulnerability in 1 package\nName Version ID         Fix Versions\na    1.0     CVE-2026-1 1.1"
    message, ended = audit(tmp_path, hole, 1)
    assert message == hole and ended != 0


def test_an_audit_that_finds_nothing_says_so(tmp_path: Path) -> None:
    assert audit(tmp_path, "No known vulnerabilities found", 0) == ("No known vulnerabilities found", 0)
