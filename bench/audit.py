"""Known holes in the pinned packages, by pip-audit; one sentence where no index of them answers.

    python bench/audit.py

Exits with 1 when there is a hole, and with 0 where nothing could be looked up: no network is no fault of the packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINNED = Path(__file__).resolve().parents[1] / "constraints.txt"
SECONDS = 300
HOW = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--requirement", str(PINNED)]
NO_INDEX = "The packages were not audited: no index of known holes answers here; run make audit where one does."


def main() -> int:
    """The exit status."""
    try:
        command = [sys.executable, "-m", "pip_audit", *HOW]
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        told = ""
    sentences, holes = found(told)
    sys.stdout.write("\n".join(sentences) + "\n")
    return 1 if holes else 0


def found(told: str) -> tuple[list[str], int]:
    """(what to say, how many holes) of pip-audit's JSON, or of whatever it wrote instead."""
    try:
        packages = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    known = [each for each in packages if "vulns" in each]
    if not known:
        return [NO_INDEX], 0
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in known
        for hole in each["vulns"]
    ]
    said = (
        f"{len(known)} packages audited, {len(packages) - len(known)} unknown to the index, {len(holes)} known holes."
    )
    return [*holes, said], len(holes)


if __name__ == "__main__":
    sys.exit(main())
