"""A Dockerfile read and its steps taken by hand: enough of both for ours, where there is no container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.pyi")  # as .dockerignore says


@dataclass(frozen=True)
class Step:
    """One instruction, with its lines joined."""

    name: str
    text: str

    @property
    def command(self) -> list[str]:
        """The arguments of a CMD in its exec form."""
        return [str(part) for part in json.loads(self.text[self.text.index("[") :])]


def read(text: str) -> list[Step]:
    """The instructions of a Dockerfile, in their order."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stages(steps: list[Step]) -> dict[str, list[Step]]:
    """Name -> steps of every stage; those before the first FROM are left out."""
    result: dict[str, list[Step]] = {}
    name = ""
    for step in steps:
        if step.name == "FROM":
            name = step.text.split(" AS ")[1]
        if name:
            result.setdefault(name, []).append(step)
    return result


def environment(steps: list[Step]) -> dict[str, str]:
    """All that ENV sets."""
    return dict(pair.split("=", 1) for step in steps if step.name == "ENV" for pair in step.text.split())


def copies(steps: list[Step]) -> list[tuple[list[str], str]]:
    """(sources, target) of every COPY."""
    return [(step.text.split()[:-1], step.text.split()[-1]) for step in steps if step.name == "COPY"]


def copied(steps: list[Step], target: Path) -> None:
    """Does what COPY does, and takes the right to write away."""
    target.mkdir()
    for sources, place in copies(steps):
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target / place, ignore=LEFT_OUT)
            else:
                shutil.copy2(ROOT / source, target / place)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def command(parts: list[str]) -> list[str]:
    """A command of the container with this Python, and, for root, without its right to write everywhere."""
    own = [sys.executable, *parts[1:]]
    if os.geteuid() == 0 and shutil.which("setpriv"):
        return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *own]
    return own


def healthy(step: Step, variables: dict[str, str]) -> bool:
    """What the health check says."""
    done = subprocess.run([sys.executable, *step.command[1:]], env=variables, capture_output=True, timeout=30)
    return done.returncode == 0
