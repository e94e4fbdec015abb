"""Coverage-guided fuzzing (atheris) of the two loaders that read strangers' files: pictures, and recorded runs.

    pip install atheris            # Linux and macOS; not among the tests' packages
    python bench/guided.py [--seconds 300] [--seed 1] [--results bench/results/guided.json]

Inputs grow from real files, towards code that was not reached before. One that ends in anything but a result or a
sentence, or takes longer than SECONDS, ends the run with 1 and is kept as a file whose name is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PARTS = ("images", "traces")
SECONDS = 10  # for one input
LONGEST = 60_000  # bytes of one


def main() -> int:
    """One process a part, since libFuzzer ends the one that it runs in; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="for each part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results" / "guided.json")
    options = parser.parse_args()
    try:
        made = {"atheris": version("atheris"), "pillow": version("pillow"), "python": platform.python_version()}
    except PackageNotFoundError:
        sys.exit("Guided fuzzing needs a package that is missing; install it: pip install atheris.")
    parts = {name: fuzzed(name, options.seconds, options.seed) for name in PARTS}
    command = " ".join(["python", "bench/guided.py", *sys.argv[1:]])
    options.results.write_text(json.dumps({"command": command, **made, "parts": parts}, indent=1) + "\n")
    sys.stdout.write(f"{json.dumps(parts)}\nwritten to {options.results}\n")
    return max(part["status"] for part in parts.values())


def fuzzed(name: str, seconds: int, seed: int) -> dict[str, Any]:
    """Runs, exit status (0: nothing found) and the code reached, as libFuzzer tells them."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(content)
        limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS}", f"-seed={seed}", f"-max_len={LONGEST}"]
        inside = "import sys; sys.path.insert(0, 'bench'); import guided; guided.inside(sys.argv)"
        call = [sys.executable, "-c", inside, name, *limits, "-rss_limit_mb=4096", corpus]
        done = subprocess.run(call, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
    ran, reached = re.findall(r"Done (\d+) runs", done.stderr), re.findall(r"cov: (\d+)", done.stderr)
    if done.returncode:
        sys.stderr.write(done.stderr[-3000:])
    return {
        "seconds": seconds,
        "runs": int(ran[-1]) if ran else 0,
        "first_coverage": int(reached[0]) if reached else 0,
        "coverage": int(reached[-1]) if reached else 0,
        "status": done.returncode,
    }


def seeds(name: str) -> list[bytes]:
    """Real files."""
    from fuzz import recorded
    from fuzzing.images import _good_files

    if name == "images":
        return list(_good_files())
    run = recorded()
    return [json.dumps(run).encode(), json.dumps({key: run[key] for key in run if key != "pictures"}).encode()]


def inside(arguments: list[str]) -> None:
    """In the process of its own; arguments: its name, the part, then libFuzzer's."""
    import atheris

    with atheris.instrument_imports(include=["crop_core", "ui", "PIL", "json", "zipfile"]):
        from crop_core.images import ImageError, open_image
        from ui.publish.recorded import open_files
    from fuzzing.judge import sentence

    place = Path(tempfile.mkdtemp()) / "run.json"

    def picture(content: bytes) -> None:
        try:
            open_image(content)
        except ImageError as error:
            sentence(error)

    def trace(content: bytes) -> None:
        place.write_bytes(content)
        for notice in open_files([str(place)]).notices:
            sentence(notice)

    name = arguments.pop(1)
    atheris.Setup(arguments, {"images": picture, "traces": trace}[name])
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
